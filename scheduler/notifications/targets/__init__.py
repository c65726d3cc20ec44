"""Notification targets: the kinds of places that notifications are sent to.

Not here: when they are sent and retried (scheduler/notifications/deliveries.py).
"""
