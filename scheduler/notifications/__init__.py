"""Notifications: telling people what a woken agent replied, in their sessions, live and at targets.

Not here: the chat channels through which people write (scheduler/channels).
"""
