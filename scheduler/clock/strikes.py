"""Decides when a pass that failed is the fault of one of its rows, though it looks like trouble of the machine."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.clock.jobs import LedgerJob
from scheduler.storage.faults import blames_rows, may_blame_rows

MOST_STRIKES = 3
"""How many passes in a row may fail like this before a row is looked for, and how often the row must fail alone."""


class Strikes:
    """Counts passes that memory or the connection did not survive."""

    def __init__(self) -> None:
        self._passes = 0
        self._alone = ("", 0)

    def blame(self, error: BaseException, jobs: Sequence[LedgerJob]) -> bool:
        """Counts a failed pass over `jobs`. Returns whether one of them is to blame.

        A network that fails a few times must not cost a healthy row: the last one left has to fail alone repeatedly.
        """
        if blames_rows(error):
            return True
        if not may_blame_rows(error):
            return False
        self._passes += 1
        if self._passes <= MOST_STRIKES:
            return False
        if len(jobs) > 1:
            return True
        job_id, times = jobs[0].id, self._alone[1]
        self._alone = (job_id, times + 1 if self._alone[0] == job_id else 1)
        return self._alone[1] >= MOST_STRIKES

    def forgive(self) -> None:
        """Starts counting anew, after a pass over everything succeeded."""
        self._passes, self._alone = 0, ("", 0)
