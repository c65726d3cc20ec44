"""Runtimes: how an agent is run, one file each behind one Protocol."""
