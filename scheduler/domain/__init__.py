"""Pure rules and data types. No I/O and no imports from our other packages.

Not here: anything that reads a clock, a file, the network or the database.
"""
