"""When a worker last sent a heartbeat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scheduler.domain.clock import Clock


class WorkerHeartbeat:
    """Tells when this worker last sent a heartbeat."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat_at = clock.monotonic()

    def age(self) -> float:
        """Returns the seconds since the last successful heartbeat was sent."""
        return self._clock.monotonic() - self._beat_at

    @asynccontextmanager
    async def beat(self) -> AsyncIterator[None]:
        """Sends a heartbeat in this block. It counts from when it was sent, if it succeeds."""
        sent_at = self._clock.monotonic()
        yield
        self._beat_at = sent_at
