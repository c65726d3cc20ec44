"""APScheduler's scheduler, adapted so that no pass can end it and its sleep is bounded."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import STATE_STOPPED
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from scheduler.clock.express import ExpressLane
from scheduler.clock.heartbeat import Heartbeat
from scheduler.clock.jobs import LedgerJob
from scheduler.clock.ledger_store import LedgerStore
from scheduler.clock.trigger_pass import EXECUTOR
from scheduler.clock.trigger_store import TriggerStore
from scheduler.clock.window_store import WINDOWS, WindowStore
from scheduler.domain.clock import Clock
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.metrics import PASS_DURATION
from scheduler.storage.engine import SOON, Database

LONGEST_SLEEP = SOON.total_seconds()
"""In seconds. NOTIFY wakes the scheduler for what is due sooner; this is the fallback when one is lost."""
SHORTEST_SLEEP = 0.005
"""In seconds. A burst of NOTIFYs causes one pass, not one each."""
MAX_BACK_OFF = 5.0
DUTIES = "duties"


SWITCH_SECONDS = 0.0001
"""How long a pass's thread may keep the interpreter once the thread that writes the previous pass has a response
from the database. The default of 5 ms, for each of about twenty statements, took half of the time of a pass.
"""


@dataclass(frozen=True)
class Duty:
    """A background duty. `run` must be safe to call from several processes at once."""

    name: str
    every_seconds: float
    run: Callable[[], object]
    first_after: float = 0.0
    """The seconds after the start before the first time."""

    def look(self) -> None:
        """Runs the duty once. Ignores a database outage: the duty simply runs again later."""
        try:
            self.run()
        except (DatabaseUnavailable, SQLAlchemyError) as error:
            logger.warning("The duty {!r} failed: {}", self.name, str(error).partition("\n")[0])


@contextmanager
def _tuned() -> Iterator[None]:
    """Tunes the interpreter for a pass: no garbage collection, and quick thread switches.

    A pass creates thousands of short-lived objects, none of them in a cycle, which triggered collections of the
    whole heap again and again; that took a third of the pass.
    """
    collecting, switching = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(switching)
        if collecting:
            gc.enable()


class LedgerScheduler(BackgroundScheduler):
    """Runs the two ledger stores and, in memory, the housekeeping duties."""

    def __init__(self, db: Database, clock: Clock, duties: Sequence[Duty] = ()) -> None:
        """`db` needs two connections: the second one is for the next pass while a full one is written, or for the
        express lane.
        """
        self._clock = clock
        self._db = db
        self._heartbeat = Heartbeat(clock)
        self._ledgers: dict[str, LedgerStore] = {
            "default": TriggerStore(db, clock, self._heartbeat),
            WINDOWS: WindowStore(db, clock),
        }
        self.express = ExpressLane(db, self._heartbeat)
        for store in self._ledgers.values():
            store.express = self.express
        self._ending = False
        super().__init__(
            timezone=UTC,
            jobstores={**self._ledgers, DUTIES: MemoryJobStore()},
            executors={
                EXECUTOR: LedgerExecutor(self._ledgers["default"]),
                WINDOWS: LedgerExecutor(self._ledgers[WINDOWS]),
                "default": ThreadPoolExecutor(max_workers=2),
            },
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        for duty in duties:
            self.add_job(
                duty.look,
                "interval",
                seconds=duty.every_seconds,
                id=duty.name,
                name=duty.name,
                jobstore=DUTIES,
                next_run_time=clock.now() + timedelta(seconds=duty.first_after),
            )

    def start(self, *args: Any, **kwargs: Any) -> None:  # APScheduler's signature
        """Starts running passes in a thread, along with the express lane."""
        super().start(*args, **kwargs)
        self.express.start()

    def run_pass(self) -> float:
        """Runs one pass over all stores and returns the seconds to sleep. Never raises."""
        started = self._clock.monotonic()
        with _tuned():
            wait = self._process_jobs()
        if not any(store.is_full for store in self._ledgers.values()):
            self.express.deactivate()
        # APScheduler counts its wait from the start of the pass, so subtract the duration of the pass.
        took = self._clock.monotonic() - started
        PASS_DURATION.observe(took)
        return LONGEST_SLEEP if wait is None else min(max(wait - took, 0.0), LONGEST_SLEEP)

    def shutdown(self, wait: bool = True) -> None:  # APScheduler's signature
        """Finishes the current pass, stops the duties and signs off."""
        # The pass first: APScheduler marks itself stopped before it waits, and then refuses to finish the pass's
        # jobs.
        self._ending = True
        self.wakeup()
        self._thread.join()
        self.express.stop()
        super().shutdown(wait)
        try:
            with self._db.begin() as conn:
                self._heartbeat.stop(conn)
        except Exception as error:  # noqa: BLE001  # on the way out a missing database is no news
            logger.debug("The heartbeat could not be removed: {}", error)

    def _main_loop(self) -> None:
        wait, back_off = 0.0, 0.1
        while self.state != STATE_STOPPED and not self._ending:
            self._event.wait(max(wait, SHORTEST_SLEEP))
            self._event.clear()
            try:
                wait, back_off = self.run_pass(), 0.1
            except BaseException as error:  # noqa: BLE001  # as shipped, this would end the thread for good
                logger.opt(exception=error).error("A scheduler pass failed; the next one is in {} s", back_off)
                for store in self._ledgers.values():
                    store.abandon()
                wait, back_off = back_off, min(back_off * 2, MAX_BACK_OFF)

    def _dispatch_event(self, event: Any) -> None:
        """Only builds events that have listeners, as a pass makes one event per job."""
        if self._listeners:
            super()._dispatch_event(event)


class LedgerExecutor(BaseExecutor):
    """Hands a due job back to its store. Nothing runs here, so no instances are counted and nothing can fail."""

    def __init__(self, store: LedgerStore) -> None:
        super().__init__()
        self._store = store

    def submit_job(self, job: LedgerJob, run_times: Sequence[datetime]) -> None:
        """Adds `job` to its store's pass."""
        self._store.submit(job)

    def _do_submit_job(self, job: LedgerJob, run_times: Sequence[datetime]) -> None:
        self.submit_job(job, run_times)
