"""Pure rules and shapes: no I/O, and nothing of ours imported.

Not here: anything that reads a clock, a file, the network or the database.
"""
