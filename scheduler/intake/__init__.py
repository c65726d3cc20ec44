"""Takes in what may fire triggers: webhooks, messages, wakes, polls and other checks, one folder each.

Not here: schedules (scheduler/clock), and the recording itself (scheduler/firings).
"""
