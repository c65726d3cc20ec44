"""A job store whose jobs are rows of our tables and whose pass is one transaction.

APScheduler's `_process_jobs` calls, for each store and under one lock: `get_due_jobs` → (`submit_job` of the
executor, `update_job` or `remove_job`)* → `get_next_run_time`. So the first call opens the transaction, the middle
ones only collect, and the last one writes everything and commits. If the process dies at any point, a firing and
the advance of its job either both happened or neither did. Rows stay locked until then, so any number of
schedulers can share the store.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from apscheduler.jobstores.base import BaseJobStore
from loguru import logger
from sqlalchemy import Connection

from scheduler.clock.jobs import LedgerJob
from scheduler.clock.ledger_pass import LedgerPass, Pace, PassFailures
from scheduler.domain.clock import Clock
from scheduler.domain.errors import stops_process
from scheduler.metrics import TALLY, open_tally, settle
from scheduler.storage.engine import Database
from scheduler.storage.fair_shares import has_neighbours
from scheduler.storage.faults import blames_rows, first_line
from scheduler.storage.pipelines import Answer
from scheduler.storage.ways import give_way


class FullPassLane(Protocol):
    """The part of the express lane that a store uses."""

    is_working: bool

    def activate(self) -> None:
        """Activates the lane: a pass is full."""


RETRY_SECONDS = 1.0
"""The pause after a pass that failed entirely, e.g. in a database outage."""


@dataclass(frozen=True, slots=True)
class _PassResult:
    """The result of a pass: the seconds until the next row is due, or the error that rolled it back."""

    jobs: Sequence[LedgerJob]
    due_in: float | None = None
    error: BaseException | None = None


class LedgerStore(BaseJobStore):
    """The base of the `default` and `windows` stores: one transaction per pass."""

    max_rows = 1000
    """The most rows one pass may claim. A pause has to wait for the rows it has locked."""
    overlaps = False
    """Whether a full pass is written while the next one is claimed and decided on a second connection."""

    def __init__(self, db: Database, clock: Clock) -> None:
        super().__init__()
        self._db = db
        self._clock = clock
        self._pass: LedgerPass | None = None
        self._limit = self.max_rows
        self._pace = Pace(self.max_rows, clock.monotonic)
        self._gives_way = False
        """Whether the last pass was full beside neighbours."""
        self._wait = RETRY_SECONDS
        """Before the next pass, when this one could not start."""
        self._failures = PassFailures()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._writing: Future[_PassResult] | None = None
        self.express: FullPassLane | None = None
        """Whom to call when a pass is full."""
        self.is_full = False
        """Whether the last pass was."""

    @abstractmethod
    def new_pass(self, conn: Connection) -> LedgerPass:
        """Creates a pass that works on `conn`."""

    @abstractmethod
    def ask_next_due(self, conn: Connection) -> Answer:
        """Asks for the seconds until the next row is due by the database's clock: negative if overdue, None without
        rows.
        """

    @abstractmethod
    def quarantine(self, conn: Connection, job_id: str, error: BaseException) -> None:
        """Takes a row out of the schedule, with an audit event: it cannot be read, or its result cannot be
        written.
        """

    def first_due_id(self, conn: Connection) -> str | None:
        """Returns the id of the job that a claim of one row would take, reading nothing else; None: unknown."""
        return None

    @property
    def in_pass(self) -> bool:
        """Whether a transaction is open, so that changes of jobs come from the scheduler's own pass."""
        return self._pass is not None

    def submit(self, job: LedgerJob) -> None:
        """Hands `job` to the pass that claimed it."""
        if self._pass is not None:
            self._pass.submit(job)

    def get_due_jobs(self, now: datetime) -> Sequence[LedgerJob]:  # the database's clock decides
        """Opens the transaction of this pass and claims due rows. Never raises."""
        self.abandon()
        self._wait = RETRY_SECONDS
        try:
            conn = self._db.engine.connect()
            open_tally(conn)
            if self._gives_way:
                give_way(conn)
            self._pass = self.new_pass(conn)
            self._claim(self._pass)
        except BaseException as error:  # whatever a row or a kind raises, the others are still claimed
            if stops_process(error):
                raise
            self.abandon()
            self._not_claimed(error)
            return ()
        return self._pass.jobs

    def _claim(self, starting: LedgerPass) -> None:
        lane = self.express
        starting.leaves_few = lane is not None and lane.is_working and self._limit == self.max_rows
        self._pace.begin()
        limit = min(self._limit, self._pace.rows)
        starting.jobs = starting.claim(limit)
        self.is_full = starting.is_full = len(starting.jobs) >= limit
        starting.has_neighbours = self.is_full and lane is not None and has_neighbours(starting.conn)
        self._gives_way = starting.has_neighbours
        if lane is not None and starting.has_neighbours:
            give_way(starting.conn)
            lane.activate()

    def get_next_run_time(self) -> datetime | None:
        """Writes, commits and returns when to look again. Never raises: a failed pass is rolled back and retried."""
        if self._pass is None:
            return self._in(self._wait)
        try:
            return self._end_pass(self._pass)
        except BaseException as error:  # an exception must not end the scheduler
            if stops_process(error):
                raise
            self.abandon()
            logger.opt(exception=error).error("A pass over {} failed and was rolled back", self._alias)
            return self._in(RETRY_SECONDS)

    def _end_pass(self, done: LedgerPass) -> datetime | None:
        unprepared = self._prepare(done)
        before = self._settle()
        if before is not None and before.error is not None:
            self.abandon()  # its rows come back with those of the previous pass, in smaller passes
            return self._failed(before.error, before.jobs)
        if before is not None:
            self._failures.reset()
        if unprepared is not None:
            self.abandon()
            return self._failed(unprepared, done.jobs)
        self._pass = None
        if self.overlaps and done.is_full and not done.has_neighbours and self._limit == self.max_rows:
            self._pace.end(len(done.jobs), is_full=True, has_neighbours=False)
            self._writing = self._writer.submit(self._write, done)
            return self._in(0)
        written = self._write(done)
        if written.error is not None:
            return self._failed(written.error, written.jobs)
        self._pace.end(len(done.jobs), is_full=done.is_full, has_neighbours=done.has_neighbours)
        self._limit = min(self._limit * 2, self.max_rows)
        if self._limit == self.max_rows:
            self._failures.reset()
        return self._in(0) if done.is_full else self._after(written)

    def _prepare(self, done: LedgerPass) -> BaseException | None:
        """Prepares a pass. An exception here is caused by one of its rows."""
        try:
            done.prepare()
        except BaseException as error:
            if stops_process(error):
                raise
            return error
        return None

    def _write(self, done: LedgerPass) -> _PassResult:
        """Writes and commits a pass, in the scheduler's thread or the writer's."""
        with closing(done.conn):
            try:
                done.write()
                asked = self.ask_next_due(done.conn)
                done.conn.commit()
                due_in: float | None = asked.scalar()
                settle(done.conn.get_execution_options()[TALLY])
            except BaseException as error:  # as the driver or a kind raises it
                if stops_process(error):
                    raise
                return _PassResult(done.jobs, error=error)
        return _PassResult(done.jobs, due_in)

    def _settle(self) -> _PassResult | None:
        """Handles the result of the previous pass if it was written in parallel."""
        writing, self._writing = self._writing, None
        return None if writing is None else writing.result()

    def abandon(self) -> None:
        """Ends the pass and rolls back what was not committed."""
        left, self._pass = self._pass, None
        if left is not None:
            left.conn.close()

    def shutdown(self) -> None:
        """Waits for the last write."""
        self._writer.shutdown(wait=True)

    def _not_claimed(self, error: BaseException) -> None:
        """Halves the next claim until the unreadable row is alone, then quarantines it."""
        logger.warning("The pass over {} could not start: {}", self._alias, first_line(error))
        if not blames_rows(error):
            return
        if self._limit > 1:
            self._limit //= 2
            self._wait = 0.0
            return
        try:
            with self._db.begin() as conn:
                found = self.first_due_id(conn)
        except Exception as second:  # noqa: BLE001  # the next pass looks again
            logger.error("The due rows of {} cannot be read: {}", self._alias, first_line(second))
            return
        if found is not None and self._quarantine(found, error):
            self._wait = 0.0

    def _failed(self, error: BaseException, jobs: Sequence[LedgerJob]) -> datetime:
        """Halves the next pass until the unwritable row is alone, then quarantines it."""
        logger.warning("A pass over {} failed and was rolled back: {}", self._alias, first_line(error))
        if not jobs or not self._failures.count(error, jobs):
            return self._in(RETRY_SECONDS)
        if len(jobs) > 1:
            self._limit = len(jobs) // 2
            return self._in(0)
        return self._in(0 if self._quarantine(jobs[0].id, error) else RETRY_SECONDS)

    def _quarantine(self, job_id: str, error: BaseException) -> bool:
        """Quarantines a row; returns False when the database refused even that."""
        self._failures.reset()
        try:
            with self._db.begin() as conn:
                self.quarantine(conn, job_id, error)
        except Exception as second:  # noqa: BLE001  # the next pass tries again
            logger.error("Job {} of {} cannot be quarantined: {}", job_id, self._alias, first_line(second))
            return False
        return True

    def _after(self, written: _PassResult) -> datetime | None:
        due_in = written.due_in
        if due_in is None:
            return None
        if due_in <= 0 and not written.jobs:
            # Another scheduler holds these rows and has not committed yet: look again soon without spinning.
            return self._in(random.uniform(0.02, 0.05))  # noqa: S311
        return self._in(max(due_in, 0))

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=seconds)
