"""Whether anything is lost or doubled while processes, the database and the network between them fail under load.

`python -m tests.acceptance.chaos [SECONDS] [SEED]` draws faults at random; the seed is printed, and repeats a run.
"""
