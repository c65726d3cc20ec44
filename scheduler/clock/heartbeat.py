"""A scheduler's heartbeat, written with its passes, so that a hanging process is noticed."""

from __future__ import annotations

import os
import socket
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.clock import Clock
from scheduler.domain.ids import new_id
from scheduler.storage.pipelines import send_along

EVERY_SECONDS = 2.0
FORGET_AFTER = "1 hour"
BEAT = text("""
    INSERT INTO scheduler_processes AS p (id, name, passes, recorded) VALUES (:id, :name, :passes, :recorded)
    ON CONFLICT (id) DO UPDATE SET last_pass_at = clock_timestamp(),
        passes = p.passes + excluded.passes, recorded = p.recorded + excluded.recorded
""")


class Heartbeat:
    """One scheduler process's row."""

    def __init__(self, clock: Clock) -> None:
        self.id: UUID = new_id()
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._clock = clock
        self._beat_at = float("-inf")
        self._passes = 0
        self._recorded = 0

    def beat(self, conn: Connection, recorded: int) -> None:
        """Counts a pass and, at most every EVERY_SECONDS, writes the row in the pass's own transaction."""
        self._passes += 1
        self._recorded += recorded
        if self._clock.monotonic() - self._beat_at < EVERY_SECONDS:
            return
        send_along(conn, BEAT, id=self.id, name=self.name, passes=self._passes, recorded=self._recorded)
        self._beat_at = self._clock.monotonic()
        self._passes = self._recorded = 0

    def count(self, recorded: int) -> None:
        """Adds what was recorded outside the passes; the next pass writes it."""
        self._recorded += recorded

    def stop(self, conn: Connection) -> None:
        """Removes the row on a clean shutdown. Rows of other processes that ended are removed after a while."""
        conn.execute(
            text(f"""
                DELETE FROM scheduler_processes
                WHERE id = :id OR last_pass_at < clock_timestamp() - interval '{FORGET_AFTER}'
            """),  # noqa: S608
            {"id": self.id},
        )
