"""Channels: one file for each chat provider whose people reach an agent.

Not here: what a message does once it is in (scheduler/intake/messages).
"""
