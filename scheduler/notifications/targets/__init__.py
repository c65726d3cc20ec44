"""Notification targets: one file for each kind of place that notifications are sent to.

Not here: when they are sent and retried (scheduler/notifications/deliveries.py).
"""
