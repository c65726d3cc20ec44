"""A scheduler that a test steps by hand: the real one, without its thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from apscheduler.schedulers.base import BaseScheduler

from scheduler.clock.scheduler import LedgerScheduler
from scheduler.domain.clock import SystemClock
from scheduler.storage.engine import Database


class SteppedScheduler(LedgerScheduler):
    """Passes happen when `run_pass` is called, and only then."""

    def start(self) -> None:
        """Start stores and executors, but no thread."""
        self._event = Event()
        BaseScheduler.start(self)

    def shutdown(self, wait: bool = True) -> None:
        """Stop stores and executors."""
        BaseScheduler.shutdown(self, wait)


@contextmanager
def stepped(db: Database) -> Iterator[SteppedScheduler]:
    """A started scheduler to step."""
    scheduler = SteppedScheduler(db, SystemClock())
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown()
