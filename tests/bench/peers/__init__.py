"""Other schedulers beside Reveille, each set up as its documentation says and run by its own interpreter.

`make bench-peers` measures them. The comparisons of `make bench` are not here.
"""
