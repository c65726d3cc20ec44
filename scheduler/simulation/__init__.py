"""Simulates what triggers and windows would do, with the rules that the service itself follows. No I/O.

When slots fire, when an agent may be woken and what budgets do is decided by the functions of the service itself, in
`scheduler.firings.slots`, `scheduler.firings.new_firing` and `scheduler.domain.budgets`. Here is only the order of
events.
"""
