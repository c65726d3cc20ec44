"""The express lane: when passes are full of some tenants' jobs, tenants with few jobs do not wait for them.

A pass of thousands of rows takes a while, which another tenant's single trigger would have to wait for, and then
its window for the next pass. The lane has a thread of its own and uses the scheduler's second connection, only at
such times. What it cannot handle it leaves to the passes, which find the faulty row.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from uuid import UUID

from loguru import logger

from scheduler.clock.heartbeat import Heartbeat
from scheduler.clock.trigger_pass import DUE as DUE_TRIGGERS
from scheduler.clock.trigger_pass import TriggerPass
from scheduler.domain.right_of_way import WAY
from scheduler.invocations.windows import DUE as DUE_WINDOWS
from scheduler.invocations.windows import claim_windows_of, close_windows
from scheduler.storage.engine import Database
from scheduler.storage.fair_shares import read_waiting, tenants_with_few
from scheduler.storage.faults import first_line
from scheduler.storage.ways import give_way, take_way

PAUSE_SECONDS = 0.01
"""The interval between two looks while passes are full."""
PAUSE_AFTER_FAULT = 1.0
STEP_SECONDS, HANDOVER_SECONDS = 0.05, 0.03
"""How long large work in this process waits at most for each statement, and then for a worker to take the jobs."""


class ExpressLane:
    """Records firings and closes windows of tenants with few due rows, while passes are full."""

    def __init__(self, db: Database, heartbeat: Heartbeat) -> None:
        self._db = db
        self._heartbeat = heartbeat
        self._needed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="express-lane", daemon=True)
        self.is_working = False
        """Whether passes may leave to it what is few: its thread runs, and its last look was good."""

    @property
    def is_needed(self) -> bool:
        """Whether passes are full."""
        return self._needed.is_set()

    def start(self) -> None:
        """Starts the thread, which waits until it is needed."""
        self.is_working = True
        self._thread.start()

    def stop(self) -> None:
        """Finishes the current look and stops."""
        self.is_working = False
        self._stopping.set()
        self._needed.set()
        if self._thread.is_alive():
            self._thread.join()

    def activate(self) -> None:
        """Activates the lane: a pass is full and there is more than one tenant."""
        self._needed.set()

    def deactivate(self) -> None:
        """Deactivates the lane: passes have room for everything again."""
        if not self._stopping.is_set():
            self._needed.clear()

    def look(self) -> None:
        """Records the due rows of tenants with few, then closes their windows, each in a short transaction."""
        with self._db.begin() as conn:
            waiting = read_waiting(conn, DUE_TRIGGERS, more_than=0)
            shares = tenants_with_few(waiting)
            if shares:
                take_way(conn, STEP_SECONDS)
                recording = TriggerPass(conn, self._heartbeat)
                for job in recording.claim_shares(shares):
                    recording.submit(job)
                recording.prepare()
                self._heartbeat.count(recording.record())
        self._close_windows(of_many=waiting.keys() - shares)

    def _close_windows(self, of_many: Collection[UUID]) -> None:
        """Closes the windows of tenants with few; last, and without the right of way, those `of_many` triggers."""
        with self._db.begin() as conn:
            shares = tenants_with_few(read_waiting(conn, DUE_WINDOWS, more_than=0))
            first = {each: count for each, count in shares.items() if each not in of_many}
            if first:
                take_way(conn, STEP_SECONDS)
                close_windows(conn, claim_windows_of(conn, first))
        if first:
            WAY.take(HANDOVER_SECONDS)
        rest = {each: count for each, count in shares.items() if each in of_many}
        if rest:
            with self._db.begin() as conn:
                give_way(conn)
                close_windows(conn, claim_windows_of(conn, rest))

    def _work(self) -> None:
        while self._needed.wait() and not self._stopping.is_set():
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # nothing is lost by it
                logger.warning("The express lane failed; the passes take what it left: {}", first_line(error))
                self.is_working = False
                self._stopping.wait(PAUSE_AFTER_FAULT)
            else:
                self.is_working = not self._stopping.is_set()
                self._stopping.wait(PAUSE_SECONDS)
