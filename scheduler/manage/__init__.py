"""The life cycle of triggers and agents: what people, agents and files may do with them.

Not here: what happens when a trigger is due (scheduler/clock), and HTTP (api).
"""
