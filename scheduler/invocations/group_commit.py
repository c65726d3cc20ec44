"""Group commit on an event loop: items submitted within a few milliseconds are written in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 200
"""The most items of one write."""
PATIENCE_OF_EACH = 0.001
LONGEST_PATIENCE = 0.01
"""The seconds that those which wait give the next one: a millisecond for each expected one, up to this."""
MOST_PATIENCES = 10
"""How often they do: as long as others come, up to a tenth of a second."""


class Gatherer(Generic[Item, Result]):
    """Calls `write` with all waiting items, one write at a time. A lone item does not wait.

    `write` does all of its items, or none and raises; failing items are found by bisection.
    """

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._all_here = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._expected = 0

    def expect(self, more: int) -> None:
        """Announces so many more items; negative: they are not coming."""
        self._expected += more
        self._look()

    async def submit(self, item: Item) -> Result:
        """Writes an announced `item`; returns its result or raises its error."""
        written: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, written))
        self._look()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await written

    def _look(self) -> None:
        if len(self._waiting) >= min(self._expected, MOST):
            self._all_here.set()

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch = self._waiting[:MOST]
                del self._waiting[:MOST]
                self._expected -= len(batch)
                await self._settle(batch)
        finally:
            self._writing = None

    async def _gather(self) -> None:
        self._all_here.clear()
        self._look()
        for _ in range(MOST_PATIENCES):
            before = len(self._waiting)
            patience = min(PATIENCE_OF_EACH * (self._expected - before), LONGEST_PATIENCE)
            if patience <= 0 or self._all_here.is_set():
                return
            try:
                async with asyncio.timeout(patience):
                    await self._all_here.wait()
            except TimeoutError:
                if len(self._waiting) == before:
                    return

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  # it is raised again where the item was handed in
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            middle = len(batch) // 2
            await self._settle(batch[:middle])
            await self._settle(batch[middle:])
        else:
            for (_, written), result in zip(batch, results, strict=True):
                if not written.done():
                    written.set_result(result)
