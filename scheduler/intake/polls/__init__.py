"""Polls: queued by the scheduler's pass, checked by any worker, and settled in one transaction each.

Not here: the config of a poll (scheduler/triggers/poll.py), and the guarded client (scheduler/net).
"""
