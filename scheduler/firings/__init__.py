"""Records firings: each is written here, with its window and its counters, in one transaction.

Not here: what makes a firing (scheduler/clock, scheduler/intake), and what it wakes (scheduler/invocations).
"""
