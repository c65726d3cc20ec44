"""Removing history whose days have passed: little by little by a duty of the schedulers, or at once by a person."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from uuid import UUID

from sqlalchemy import text

from scheduler.domain.retention import History
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import SYSTEM, Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.retention import BATCH, count_old, remove_leftovers, remove_old

SECONDS_OF_A_LOOK = 5.0
PAUSE = 0.02
"""Between two batches, so that the others come before the next."""
REST = 100
"""After a look that found nothing, none is made for so many times as long as it took: it costs 1 % at most."""
QUICKLY = text("SET LOCAL synchronous_commit = off")
"""What a crash brings back is removed again."""

Counts = dict[UUID | None, Counter[History]]


class Pruner:
    """Removes history of all tenants by their days; `days` are those of tenants that have none of their own."""

    def __init__(self, db: Database, days: Mapping[History, int], *, actor: str = SYSTEM) -> None:
        self._db = db
        self._days = days
        self._actor = actor
        self._rests_until = float("-inf")

    def look(self) -> int:
        """Remove for a few seconds; returns how many rows. For a duty: it rests after it has found nothing."""
        began = time.monotonic()
        if began < self._rests_until:
            return 0
        removed = self.remove(lambda: time.monotonic() - began < SECONDS_OF_A_LOOK, pause=PAUSE)
        count = sum(sum(each.values()) for each in removed.values())
        if not count:
            self._rests_until = time.monotonic() + REST * (time.monotonic() - began)
        return count

    def count(self) -> Counts:
        """What could be removed now, by tenant and kind."""
        found: Counts = {}
        with self._db.begin() as conn:
            for kind in History:
                _add(found, kind, count_old(conn, kind, self._days[kind]))
        return found

    def remove(self, goes_on: Callable[[], bool] = lambda: True, *, pause: float = 0.0) -> Counts:
        """Remove batch by batch while there is something and `goes_on`, and leave an audit event for each tenant."""
        removed: Counts = {}
        try:
            for kind in History:
                while self._batch(kind, removed) and goes_on():
                    time.sleep(pause)
            while self._leftovers() and goes_on():
                time.sleep(pause)
        finally:
            self._audit(removed)
        return removed

    def _batch(self, kind: History, removed: Counts) -> bool:
        """Remove a batch; whether there may be more, and no other process is at it."""
        with self._db.begin() as conn:
            conn.execute(QUICKLY)
            if not try_lock(conn, AdvisoryLock.PRUNE):
                return False
            rows = remove_old(conn, kind, self._days[kind])
        _add(removed, kind, rows)
        return sum(rows.values()) >= BATCH

    def _leftovers(self) -> bool:
        with self._db.begin() as conn:
            conn.execute(QUICKLY)
            return try_lock(conn, AdvisoryLock.PRUNE) and remove_leftovers(conn)

    def _audit(self, removed: Counts) -> None:
        events = [
            Event("history.pruned", tenant_id, actor=self._actor, detail={k.value: n for k, n in counts.items()})
            for tenant_id, counts in removed.items()
        ]
        if events:
            with self._db.begin() as conn:
                record_events(conn, events)


def _add(counts: Counts, kind: History, rows: Mapping[UUID | None, int]) -> None:
    for tenant_id, number in rows.items():
        counts.setdefault(tenant_id, Counter())[kind] += number
