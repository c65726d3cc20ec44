"""Services for triggers, agents, models, keys, tenants, users, channels and targets, one for each.

All interfaces use them: API, pages, tools, command line. Not here: what happens when a trigger is due
(scheduler/clock), and HTTP (api).
"""
