"""Runs work in threads for an event loop, which is woken once for everything completed meanwhile.

The standard library's executor wakes it for each result through a socket pair: under load that costs as much as
the work, since every such byte passes the interpreter's lock back and forth.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """A fixed number of threads, started when needed. For use on one event loop."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._busy = 0
        self._todo: SimpleQueue[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._is_waking = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Runs `work` in a thread."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._busy += 1
        if self._started < min(self._busy, self._count):
            self._started += 1
            Thread(target=self._work, args=(loop,), name=f"request-{self._started}", daemon=True).start()
        self._todo.put((future, work, arguments))
        return future

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            future, work, arguments = self._todo.get()
            result, error = None, None
            try:
                result = work(*arguments)
            except BaseException as caught:  # noqa: BLE001  # it is raised where the result is awaited
                error = caught
            self._done.append((future, result, error))
            if not self._is_waking:
                self._is_waking = True
                loop.call_soon_threadsafe(self._deliver)
            del future, work, arguments, result, error

    def _deliver(self) -> None:
        self._is_waking = False  # before looking: later results wake the loop again
        while self._done:
            future, result, error = self._done.popleft()
            self._busy -= 1
            if future.cancelled():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
