"""The service of triggers, and its parts: what a request may say, the rows and jobs of a trigger, its due slots.

Not here: kinds of trigger (scheduler/triggers), and what fires them (scheduler/clock, scheduler/intake).
"""
