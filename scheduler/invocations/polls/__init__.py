"""Polls: queued by the scheduler's pass, looked at by any worker, and settled one transaction each."""
