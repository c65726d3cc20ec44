"""The life of an invocation: its window, run, end, retries, recovery and replay.

Not here: how firings come in (scheduler/intake) and are recorded (scheduler/firings), and scheduler/runtimes.
"""
