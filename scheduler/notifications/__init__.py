"""Tells people what a woken agent replied: in their sessions, live, and at notification targets.

Not here: the chat channels through which people write (scheduler/channels).
"""
