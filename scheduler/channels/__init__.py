"""Channels: one file for each chat provider through which people reach an agent.

Not here: how messages are processed (scheduler/intake/messages).
"""
