"""Runtimes: one for each way an agent is run, behind one registry.

Not here: when an agent is run, and what its end means (scheduler/invocations).
"""
