"""Stores messages of people and agents and matches them with the on_message triggers that listen for them.

Not here: chat providers (scheduler/channels).
"""
