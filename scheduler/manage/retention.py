"""Removes expired history: gradually as a duty of the schedulers, or at once for a person."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

from sqlalchemy import text

from scheduler.domain.retention import History
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import SYSTEM, Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.retention import BATCH, count_old, remove_leftovers, remove_old

SECONDS_OF_A_LOOK = 5.0
PAUSE = 3.0
"""After a batch the duty pauses this many times its duration, so that other work gets its turn, also on a busy
machine.
"""
REST = 100
"""After a run that found nothing, the duty rests this many times its duration, so that it takes at most 1 % of the
time.
"""
QUICKLY = text("SET LOCAL synchronous_commit = off")
"""If a crash undoes the removal, it is simply repeated."""

Counts = dict[UUID | None, Counter[History]]


class Pruner:
    """Removes expired history of all tenants; `days` applies to tenants without their own setting."""

    def __init__(self, db: Database, days: Mapping[History, int], *, actor: str = SYSTEM) -> None:
        self._db = db
        self._days = days
        self._actor = actor
        self._rests_until = float("-inf")

    def look(self) -> int:
        """Removes rows for a few seconds and returns how many. As a duty it rests after finding nothing."""
        began = time.monotonic()
        if began < self._rests_until:
            return 0
        removed = self.remove(lambda: time.monotonic() - began < SECONDS_OF_A_LOOK, pause=PAUSE)
        count = sum(sum(each.values()) for each in removed.values())
        if not count:
            self._rests_until = time.monotonic() + REST * (time.monotonic() - began)
        return count

    def count(self) -> Counts:
        """Counts what could be removed now, by tenant and kind."""
        found: Counts = {}
        with self._db.begin() as conn:
            for kind in History:
                _add(found, kind, count_old(conn, kind, self._days[kind]))
        return found

    def remove(self, goes_on: Callable[[], bool] = lambda: True, *, pause: float = 0.0) -> Counts:
        """Removes batches until none is left or `goes_on` is false, and writes an audit event for each tenant.

        After each batch it pauses `pause` times the batch's duration.
        """
        removed: Counts = {}

        def repeat(batch: Callable[[], bool]) -> None:
            began = time.monotonic()
            while batch() and goes_on():
                time.sleep(pause * (time.monotonic() - began))
                began = time.monotonic()

        try:
            for kind in History:
                repeat(partial(self._batch, kind, removed))
            repeat(self._leftovers)
        finally:
            self._audit(removed)
        return removed

    def _batch(self, kind: History, removed: Counts) -> bool:
        """Removes a batch. Returns whether there may be more and no other process is doing the same."""
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
