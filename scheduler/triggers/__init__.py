"""Trigger kinds: one file each, their configs and schedules, behind one registry. Pure, no I/O.

Not here: what happens when one fires (scheduler/firings), and how kinds check something (scheduler/intake).
"""
