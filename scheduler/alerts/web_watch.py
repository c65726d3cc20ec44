"""Checks for problems in a process without a scheduler, so that a complete lack of workers is noticed and
reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event, Thread
from uuid import UUID

from loguru import logger
from sqlalchemy import text

from scheduler.alerts.service_rules import PATIENCE_SECONDS
from scheduler.alerts.watch import EVERY_SECONDS, Watch
from scheduler.domain.clock import Clock
from scheduler.net.client import GuardedClient
from scheduler.notifications.deliveries import Deliverer
from scheduler.storage.engine import Database
from scheduler.storage.faults import first_line
from scheduler.storage.secrets import SecretBox

# No worker has begun the first attempt, as none runs; a later one is theirs until its lease ends.
UNSENT = text("""
    SELECT d.id, d.attempt FROM notification_deliveries d JOIN alert_notices x ON x.id = d.notification_id
    WHERE d.state = 'pending' AND (d.attempt = 0 OR d.due_at <= clock_timestamp()) AND EXISTS (
        SELECT FROM watch
        WHERE greatest(last_heartbeat_at, since) < clock_timestamp() - make_interval(secs => :patience))
    ORDER BY d.due_at LIMIT :limit
""")
SENT_AT_ONCE = 50
STOP_SECONDS = 5.0


class WebWatch:
    """A thread that checks like a worker's watch, and sends notifications itself while no worker runs."""

    def __init__(
        self, db: Database, watch: Watch, box: SecretBox, open_client: Callable[[], GuardedClient], clock: Clock
    ) -> None:
        """Uses one of `db`'s connections at a time."""
        self._db = db
        self._watch = watch
        self._box = box
        self._open_client = open_client
        self._clock = clock
        self._stop = Event()
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread, or leaves it to the end of the process."""
        self._stop.set()
        self._thread.join(STOP_SECONDS)

    def look(self) -> None:
        """Checks once, and sends what no worker sends. Never raises: the next check is soon."""
        try:
            self._watch.look()
            with self._db.begin() as conn:
                rows = conn.execute(UNSENT, {"patience": PATIENCE_SECONDS, "limit": SENT_AT_ONCE})
                unsent = [(row.id, row.attempt + 1) for row in rows]
            if unsent:
                asyncio.run(self._send(unsent))
        except Exception as error:  # noqa: BLE001  # a database that is away is no reason to stop looking
            logger.warning("The check for alerts failed: {}", first_line(error))

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.look()

    async def _send(self, unsent: list[tuple[UUID, int]]) -> None:
        async with self._open_client() as client:
            deliverer = Deliverer(self._db, self._box, client, self._clock)
            try:
                await asyncio.gather(*(deliverer.deliver(each, attempt) for each, attempt in unsent))
            finally:
                deliverer.close()
