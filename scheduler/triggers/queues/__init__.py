"""Clients of message queues: one file for each, behind `base.Queue`."""
