"""A job store whose jobs are rows of ours and whose pass is one transaction.

APScheduler's `_process_jobs` calls, for each store and under one lock: `get_due_jobs` → (`submit_job` of the
executor, `update_job` or `remove_job`)* → `get_next_run_time`. So the first opens the transaction, those between
only collect, and the last writes all of it and commits. Killed anywhere, a firing and the advance of its job
both happened or neither did. Rows stay locked until then: any number of schedulers can share the store.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta

from apscheduler.jobstores.base import BaseJobStore
from loguru import logger
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, SQLAlchemyError, StatementError

from scheduler.clock.jobs import LedgerJob
from scheduler.domain.clock import Clock
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage.engine import Database

MAX_ROWS = 1000
"""Rows one pass may claim. What it holds locked, a pause has to wait for: a thousand take about 0.1 s."""
RETRY_SECONDS = 1.0
"""The wait after a pass that failed as a whole, e.g. because the database is away."""


class LedgerStore(BaseJobStore):
    """What the `default` and the `windows` store share: one transaction a pass."""

    def __init__(self, db: Database, clock: Clock) -> None:
        super().__init__()
        self._db = db
        self._clock = clock
        self._conn: Connection | None = None
        self._limit = MAX_ROWS
        self._claimed: Sequence[LedgerJob] = ()

    @abstractmethod
    def claim(self, conn: Connection, limit: int) -> Sequence[LedgerJob]:
        """Lock up to `limit` due rows and hand them out as jobs."""

    @abstractmethod
    def submit(self, job: LedgerJob) -> None:
        """Take note that the scheduler wants `job` to run."""

    @abstractmethod
    def write(self, conn: Connection) -> None:
        """Write what was decided for the jobs that were submitted."""

    @abstractmethod
    def next_due_in(self, conn: Connection) -> float | None:
        """Seconds until the next row is due by the database's clock, negative when overdue; None without any."""

    @abstractmethod
    def quarantine(self, conn: Connection, job_id: str, error: Exception) -> None:
        """Take a row out of the schedule, audited: what it makes cannot be written."""

    @property
    def in_pass(self) -> bool:
        """Whether a transaction is open, so that changes of jobs come from the scheduler's own pass."""
        return self._conn is not None

    def get_due_jobs(self, now: datetime) -> Sequence[LedgerJob]:  # the database's clock decides
        """Open the transaction of this pass and claim what is due."""
        self.abandon()
        self._claimed = ()
        try:
            self._conn = self._db.engine.connect()
            self._claimed = self.claim(self._conn, self._limit)
        except SQLAlchemyError as error:
            logger.warning("The pass over {} could not start: {}", self._alias, first_line(error))
            self.abandon()
        return self._claimed

    def get_next_run_time(self) -> datetime | None:
        """Write, commit, and say when to look again. Never raises: a failed pass is undone and tried again."""
        if self._conn is None:
            return self._in(RETRY_SECONDS)
        try:
            self.write(self._conn)
            due_in = self.next_due_in(self._conn)
            self._conn.commit()
        except SQLAlchemyError as error:
            self.abandon()
            return self._failed(error)
        finally:
            self.abandon()
        full = len(self._claimed) >= self._limit
        self._limit = min(self._limit * 2, MAX_ROWS)
        return self._in(0) if full else self._after(due_in)

    def abandon(self) -> None:
        """End the pass; what was not committed did not happen."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def _failed(self, error: SQLAlchemyError) -> datetime:
        """Halve the next pass until the row that cannot be written stands alone, then take it out."""
        logger.warning("A pass over {} failed and is undone: {}", self._alias, first_line(error))
        if not _blames_a_row(error) or not self._claimed:
            return self._in(RETRY_SECONDS)
        if len(self._claimed) > 1:
            self._limit = len(self._claimed) // 2
        else:
            self._quarantine(self._claimed[0].id, error)
        return self._in(0)

    def _quarantine(self, job_id: str, error: Exception) -> None:
        try:
            with self._db.begin() as conn:
                self.quarantine(conn, job_id, error)
        except (SQLAlchemyError, DatabaseUnavailable) as second:
            logger.error("Job {} of {} cannot be quarantined: {}", job_id, self._alias, first_line(second))

    def _after(self, due_in: float | None) -> datetime | None:
        if due_in is None:
            return None
        if due_in <= 0 and not self._claimed:
            # Another scheduler holds these rows and has not committed yet: look again soon, do not spin.
            return self._in(random.uniform(0.02, 0.05))  # noqa: S311
        return self._in(max(due_in, 0))

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)


def _blames_a_row(error: SQLAlchemyError) -> bool:
    """Whether the data was refused: by the driver, or by PostgreSQL (SQLSTATE 22 data, 23 constraint, 54 size)."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, StatementError)
    state: str | None = getattr(error.orig, "sqlstate", None)
    return type(error) is DataError if state is None else state[:2] in {"22", "23", "54"}


def first_line(error: Exception) -> str:
    """What of an error belongs in a log line."""
    return str(error).partition("\n")[0]
