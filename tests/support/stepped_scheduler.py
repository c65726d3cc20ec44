"""The real scheduler without its thread: a test runs each pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from apscheduler.schedulers.base import BaseScheduler

from scheduler.clock.scheduler import LedgerScheduler
from scheduler.domain.clock import SystemClock
from scheduler.storage.engine import Database


class SteppedScheduler(LedgerScheduler):
    """Runs a pass only when `run_pass` is called."""

    def start(self) -> None:
        """Starts stores and executors, but no thread."""
        self._event = Event()
        BaseScheduler.start(self)

    def shutdown(self, wait: bool = True) -> None:
        """Stops stores and executors."""
        BaseScheduler.shutdown(self, wait)


@contextmanager
def stepped(db: Database) -> Iterator[SteppedScheduler]:
    """Yields a started scheduler for stepping."""
    scheduler = SteppedScheduler(db, SystemClock())
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown()
