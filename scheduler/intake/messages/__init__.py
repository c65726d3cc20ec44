"""Messages of people and agents: stored, and matched with the on_message triggers that wait for them.

Not here: chat providers (scheduler/channels).
"""
