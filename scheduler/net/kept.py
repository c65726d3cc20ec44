"""Connections that are kept for a moment, for the next request to the same place."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from scheduler.net.connection import Connection, Place

KEPT_SECONDS = 0.25
"""For agents: long enough for one batch of calls to use the connections of the batch before it."""


class Kept:
    """Connections without a request, by place: scheme, name, checked address and port.

    To open one costs more than all else in a quick request, and next to nothing in a slow one. So a connection is
    kept for `seconds` if its response took no longer. A server that serves one connection at a time waits for the kept
    one; the response that it then sends comes later than that, so it is held up only once.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """How long connections are kept; 0: not at all."""
        self._idle: dict[Place, list[tuple[float, Connection]]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, places: Iterable[Place]) -> Connection | None:
        """Returns the connection used last at one of the `places`, which were checked for this request; None if there
        is none.
        """
        for place in places:
            idle = self._idle.get(place, [])
            while idle:
                _, connection = idle.pop()
                if connection.is_idle:
                    return connection
                connection.close()
        return None

    def add(self, connection: Connection, began: float) -> None:
        """Keeps a connection whose request `began` lately, if another request may follow on it; else closes it."""
        loop = asyncio.get_running_loop()
        if not connection.is_idle or loop.time() - began >= self.seconds:
            connection.close()
            return
        self._idle[connection.place].append((loop.time(), connection))
        if self._sweep is None:
            self._sweep = loop.call_later(self.seconds, self._close_old)

    def close(self) -> None:
        """Closes all."""
        self._close_until(float("inf"))
        if self._sweep is not None:
            self._sweep.cancel()

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._close_until(loop.time() - self.seconds)
        self._sweep = loop.call_later(self.seconds / 2, self._close_old) if self._idle else None

    def _close_until(self, moment: float) -> None:
        for place, idle in [*self._idle.items()]:
            for each in idle:
                if each[0] <= moment:
                    each[1].close()
            self._idle[place] = [each for each in idle if each[0] > moment]
            if not self._idle[place]:
                del self._idle[place]
