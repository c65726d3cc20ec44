"""Limits WebSockets: how many a process keeps, how many a key may use, and how many may await authentication."""

from __future__ import annotations

from collections import Counter
from threading import Lock
from uuid import UUID

from wsproto.frame_protocol import CloseReason

from api.server.connection_limits import group_of
from api.sockets.connection import WebSocket
from scheduler.domain.errors import LimitReached

MAX_SOCKETS = 2000
PER_KEY = 300
FULL_SECONDS = 30


class SocketPlaces:
    """The places of authenticated sockets. Thread-safe."""

    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()
        self._lock = Lock()

    def check(self, key_id: UUID) -> None:
        """Raises LimitReached when this key has used its places, or all are taken."""
        with self._lock:
            if self._taken[key_id] >= PER_KEY:
                raise LimitReached(
                    f"A key may have at most {PER_KEY} sockets per process.", retry_after=FULL_SECONDS
                )
            if self._taken.total() >= MAX_SOCKETS:
                raise LimitReached(
                    "This process has reached its maximum number of sockets.", retry_after=FULL_SECONDS
                )

    def take(self, key_id: UUID) -> None:
        """Takes a place for a socket of this key, after a check; concurrent ones are all admitted."""
        with self._lock:
            self._taken[key_id] += 1

    def leave(self, key_id: UUID) -> None:
        """Gives a place back."""
        with self._lock:
            self._taken[key_id] -= 1
            if not self._taken[key_id]:
                del self._taken[key_id]


MAX_PENDING = 200
PER_ADDRESS = 20
CROWDED = "Too many sockets are waiting for authentication: send the key at once."


class PendingSockets:
    """Sockets that have not authenticated yet, by address. If there are too many, the oldest is closed.

    For use on the sockets' event loop.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[WebSocket, None]] = {}

    def add(self, client: WebSocket, host: str) -> None:
        """Adds a socket; closes the oldest if there are too many."""
        waiting = self._waiting.setdefault(group_of(host), {})
        waiting[client] = None
        if len(waiting) > PER_ADDRESS:
            self._end_oldest(waiting)
        elif sum(map(len, self._waiting.values())) > MAX_PENDING:
            self._end_oldest(max(self._waiting.values(), key=len))

    def remove(self, client: WebSocket, host: str) -> None:
        """Removes a socket that has authenticated or is gone."""
        address = group_of(host)
        waiting = self._waiting.get(address)
        if waiting is not None:
            waiting.pop(client, None)
            if not waiting:
                del self._waiting[address]

    def _end_oldest(self, waiting: dict[WebSocket, None]) -> None:
        oldest = next(iter(waiting))
        del waiting[oldest]
        oldest.close(CloseReason.TRY_AGAIN_LATER, CROWDED)
        oldest.abort_soon()
