"""Limits how many WebSockets a process keeps, and how many of them one key may take."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from uuid import UUID

from scheduler.domain.errors import LimitReached

MAX_SOCKETS = 2000
PER_KEY = 300
FULL_SECONDS = 30


class Places:
    """The places of authenticated sockets. May be used from any thread."""

    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()
        self._lock = Lock()

    def check(self, key_id: UUID) -> None:
        """Raise LimitReached when this key has as many places as it may, or all are taken."""
        with self._lock:
            if self._taken[key_id] >= PER_KEY:
                raise LimitReached(f"A key has at most {PER_KEY} sockets at a process.", retry_after=FULL_SECONDS)
            if self._taken.total() >= MAX_SOCKETS:
                raise LimitReached("This process keeps as many sockets as it can.", retry_after=FULL_SECONDS)

    def take(self, key_id: UUID) -> None:
        """Take a place for a socket of this key, after a check: of those that come together all are let in."""
        with self._lock:
            self._taken[key_id] += 1

    def leave(self, key_id: UUID) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[key_id] -= 1
            if not self._taken[key_id]:
                del self._taken[key_id]
