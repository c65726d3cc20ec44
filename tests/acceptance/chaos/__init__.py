"""Checks whether anything is lost or doubled while processes, the database and the network fail under load.

`python -m tests.acceptance.chaos [SECONDS] [SEED]` chooses faults at random; the printed seed repeats a run.
"""
