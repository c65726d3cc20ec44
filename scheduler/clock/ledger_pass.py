"""One pass over a ledger store: what is decided within its transaction, how many rows it may claim, and whether one of
them is to blame when it fails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from scheduler.clock.jobs import LedgerJob
from scheduler.storage.faults import blames_rows, may_blame_rows

MOST_PASS_FAILURES = 3
"""How many passes in a row may fail like this before a row is looked for, and how often the row must fail alone."""
SHORT_SECONDS = 0.05
"""How long a full pass takes beside other tenants, whose work shares the interpreter, PostgreSQL and the processors
with it.
"""
FIRST_ROWS, FEWEST_ROWS = 500, 100
"""The rows of the first pass of a burst, before it is known how long they take, and the fewest of any.

A pass has about twenty statements, so smaller ones would mostly be overhead.
"""


class LedgerPass(ABC):
    """The work of one transaction: the claimed rows, and what the scheduler decided to do with them."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.jobs: Sequence[LedgerJob] = ()
        """Its claim, as jobs: locked until the transaction ends."""
        self.is_full = False
        """Whether it claimed all that it was allowed to: there may be more."""
        self.has_neighbours = False
        """Whether it is full and there is more than one tenant: the express lane then has the second connection."""
        self.leaves_few = False
        """Whether the express lane takes what is due of tenants with few."""

    @abstractmethod
    def claim(self, limit: int) -> Sequence[LedgerJob]:
        """Locks up to `limit` due rows and returns them as jobs."""

    @abstractmethod
    def submit(self, job: LedgerJob) -> None:
        """Records that the scheduler wants `job` to run."""

    @abstractmethod
    def prepare(self) -> None:
        """Prepares the write without the database, while the previous pass may still be written."""

    @abstractmethod
    def write(self) -> None:
        """Writes what was decided for the submitted jobs."""


class Pace:
    """Decides how many rows the next pass may claim, up to `most`: beside other tenants a pass is short, so that theirs
    do not wait for it. `now` returns seconds.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._began_at = now()
        self.rows = min(FIRST_ROWS, most)

    def begin(self) -> None:
        """Notes that a pass begins."""
        self._began_at = self._now()

    def end(self, rows: int, *, is_full: bool, has_neighbours: bool) -> None:
        """Notes that the pass has committed `rows`, or that its write goes on while the next one is claimed."""
        if not is_full:
            self.rows = min(FIRST_ROWS, self._most)
        elif not has_neighbours:
            self.rows = self._most
        else:
            fitting = round(rows * SHORT_SECONDS / max(self._now() - self._began_at, 0.001))
            # At most doubled or halved, because a single pass may be slow for another reason.
            self.rows = min(max(fitting, rows // 2, FEWEST_ROWS), rows * 2, self._most)


class PassFailures:
    """Counts passes that failed for lack of memory or of a connection, to find a row that causes it."""

    def __init__(self) -> None:
        self._passes = 0
        self._alone = ("", 0)

    def count(self, error: BaseException, jobs: Sequence[LedgerJob]) -> bool:
        """Counts a failed pass over `jobs`. Returns whether one of them is to blame.

        A network that fails a few times must not cost a healthy row: the last one left has to fail alone repeatedly.
        """
        if blames_rows(error):
            return True
        if not may_blame_rows(error):
            return False
        self._passes += 1
        if self._passes <= MOST_PASS_FAILURES:
            return False
        if len(jobs) > 1:
            return True
        job_id, times = jobs[0].id, self._alone[1]
        self._alone = (job_id, times + 1 if self._alone[0] == job_id else 1)
        return self._alone[1] >= MOST_PASS_FAILURES

    def reset(self) -> None:
        """Starts counting again, after a pass over everything succeeded."""
        self._passes, self._alone = 0, ("", 0)
