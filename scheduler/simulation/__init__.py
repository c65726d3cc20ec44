"""Simulates triggers and windows with the rules of the service. No I/O.

The functions of the service itself decide when slots fire, when an agent may be woken and what budgets do:
`scheduler.firings.slots`, `scheduler.firings.new_firing` and `scheduler.domain.budgets`. Only the order of events
is implemented here. Not here: what is read from the database for it (scheduler/manage/simulated.py).
"""
