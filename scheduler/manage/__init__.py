"""What may be done with triggers, agents, models, keys, tenants, people, channels and targets: a service for each.

Each serves every way in: API, pages, tools, command.

Not here: what happens when a trigger is due (scheduler/clock), and HTTP (api).
"""
