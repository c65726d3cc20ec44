"""Wakes by a call: from a person, another agent, or A2A, with the limits between two agents.

Not here: delegated work, which also waits for an answer (scheduler/manage/delegation.py).
"""
