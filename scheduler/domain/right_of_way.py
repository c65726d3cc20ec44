"""The right of way in one process: large work waits between two steps while small work is in progress.

All threads of a process share one interpreter, and its transactions share PostgreSQL and the processors. Without this,
each of the forty or so steps from a slot to a call waits for its turn among those of a flood.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

STEP_SECONDS = 0.002
"""How often large work checks whether it may go on."""
LONGEST_WAIT = 0.1
"""How long it waits for small work at one time."""
REST = 0.5
"""After a wait it goes on for at least this part of it, so small work without end slows it by two thirds at most."""


class RightOfWay:
    """Small work takes it for a moment, and large work gives it. Thread-safe."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._taken_until = 0.0
        self._goes_on_until = 0.0

    def take(self, seconds: float) -> None:
        """Lets large work wait for up to so many seconds from now."""
        self._taken_until = max(self._taken_until, self._now() + seconds)

    def give(self) -> None:
        """Waits while small work is in progress. For threads; it must not hold what small work may need."""
        for _ in self._waits():
            self._sleep(STEP_SECONDS)

    async def give_on_loop(self) -> None:
        """Does as `give`, on an event loop."""
        for _ in self._waits():
            await asyncio.sleep(STEP_SECONDS)

    def _waits(self) -> Iterator[None]:
        began = now = self._now()
        if began < self._goes_on_until:
            return
        while now < self._taken_until and now - began < LONGEST_WAIT:
            yield
            now = self._now()
        self._goes_on_until = max(self._goes_on_until, now + (now - began) * REST)


WAY = RightOfWay()
"""That of this process."""
