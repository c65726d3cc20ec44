"""Other schedulers beside Reveille, each set up as its documentation says and run by an interpreter of its own.

`make bench-peers` measures them. Not here: what is compared with Reveille in `make bench`.
"""
