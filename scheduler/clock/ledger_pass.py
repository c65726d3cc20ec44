"""One pass over a ledger store: what the scheduler decides within one transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from sqlalchemy import Connection

from scheduler.clock.jobs import LedgerJob


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
