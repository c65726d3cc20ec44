"""A scheduler's sign of life: written with its passes, so that a process that hangs shows."""

from __future__ import annotations

import os
import socket
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.clock import Clock
from scheduler.domain.ids import new_id

EVERY_SECONDS = 2.0
FORGET_AFTER = "1 hour"


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
        """Count a pass; write it with the pass's own transaction, at most every EVERY_SECONDS."""
        self._passes += 1
        self._recorded += recorded
        if self._clock.monotonic() - self._beat_at < EVERY_SECONDS:
            return
        conn.execute(
            text("""
                INSERT INTO scheduler_processes AS p (id, name, passes, recorded)
                VALUES (:id, :name, :passes, :recorded)
                ON CONFLICT (id) DO UPDATE SET last_pass_at = clock_timestamp(),
                    passes = p.passes + excluded.passes, recorded = p.recorded + excluded.recorded
            """),
            {"id": self.id, "name": self.name, "passes": self._passes, "recorded": self._recorded},
        )
        self._beat_at = self._clock.monotonic()
        self._passes = self._recorded = 0

    def count(self, recorded: int) -> None:
        """Count what was recorded beside the passes; the next one writes it."""
        self._recorded += recorded

    def stop(self, conn: Connection) -> None:
        """Leave: the process ends in good order. Those that did not are forgotten after a while."""
        conn.execute(
            text(f"""
                DELETE FROM scheduler_processes
                WHERE id = :id OR last_pass_at < clock_timestamp() - interval '{FORGET_AFTER}'
            """),  # noqa: S608
            {"id": self.id},
        )
