"""Runtimes: one descriptor for each way an agent is run, with its settings and implementation, behind one
registry.

Not here: when an agent is run, and what its end means (scheduler/invocations).
"""
