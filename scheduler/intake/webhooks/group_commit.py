"""Group commit: what several threads hand in at once is done in one transaction, and each gets its own answer.

There is no thread of its own, so nothing to start or stop: the thread that finds nobody at work leads, does the
work of all that wait, and hands the lead to the first of those that came meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition, Lock
from typing import Generic, TypeVar

from scheduler.domain.errors import DatabaseUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_GATHER = 0.005
"""Seconds that a leader waits at most for others to join."""


def _closed_gate() -> Lock:
    """What a thread waits at until another lets it through once: a bare lock, for an Event wakes in two steps."""
    gate = Lock()
    gate.acquire()
    return gate


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Result]):
    """One item on its way; its thread is woken when the outcome is there, or to lead."""

    item: Item
    result: Result | None = None
    error: Exception | None = None
    settled: bool = False
    gate: Lock = field(default_factory=_closed_gate)

    def settle(self, result: Result | None, error: Exception | None = None) -> None:
        self.result, self.error, self.settled = result, error, True
        self.gate.release()


class GroupCommit(Generic[Item, Result]):
    """Calls `commit` with all items that wait, never from two threads at once.

    `commit` takes 1..`limit` items, in the order in which they came, and returns as many results once they are
    durable; it either does all of them or raises and does none.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]], limit: int = 100) -> None:
        self._commit = commit
        self._limit = limit
        self._waiting: deque[_Ticket[Item, Result]] = deque()
        self._changed = Condition()
        self._led = False
        self._expected = 1
        """How many threads were about lately. A lone one never waits for others."""
        self._patience = 0.0

    def submit(self, item: Item) -> Result:
        """Have `item` done: its result, or its error raised. An item that fails does not fail its neighbours."""
        ticket: _Ticket[Item, Result] = _Ticket(item)
        with self._changed:
            self._waiting.append(ticket)
            leads, self._led = not self._led, True
            if len(self._waiting) == self._expected:
                self._changed.notify()
        if not leads:
            ticket.gate.acquire()
        if not ticket.settled:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]  # settled without an error: it is a Result

    def _lead(self) -> None:
        """Settle one batch, whose first item is the calling thread's own, and pass the lead on."""
        batch = self._gather()
        began = time.monotonic()
        try:
            self._settle(batch)
        finally:
            with self._changed:
                self._expected = min(len(batch) + len(self._waiting), self._limit)
                self._patience = min(time.monotonic() - began, LONGEST_GATHER)
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].gate.release()

    def _gather(self) -> list[_Ticket[Item, Result]]:
        """Take what waits, once as many wait as were about lately.

        Those just answered often come again at once. A transaction costs much the same for one as for ten, so a
        leader waits for them, but no longer than the last commit took.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= self._expected, self._patience)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limit))]

    def _settle(self, batch: Sequence[_Ticket[Item, Result]]) -> None:
        """Commit `batch`; when that fails, halve it until what fails stands alone."""
        try:
            results = self._commit([ticket.item for ticket in batch])
        except DatabaseUnavailable as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  # it is raised again in the thread that handed the item in
            if len(batch) == 1:
                _fail(batch, error)
            else:
                middle = len(batch) // 2
                self._settle(batch[:middle])
                self._settle(batch[middle:])
        except BaseException:
            _fail(batch, DatabaseUnavailable("The server is stopping; try again."))
            raise
        else:
            for ticket, result in zip(batch, results, strict=True):
                ticket.settle(result)


def _fail(batch: Sequence[_Ticket[Item, Result]], error: Exception) -> None:
    for ticket in batch:
        ticket.settle(None, error)
