"""Clients of message queues: one file for each, behind `base.Queue`.

Not here: the kind of trigger that reads them (scheduler/triggers/queue.py).
"""
