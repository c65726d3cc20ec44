"""What may be done with triggers, agents, models, keys, tenants and targets: one service each, for every way in.

Not here: what happens when a trigger is due (scheduler/clock), and HTTP (api).
"""
