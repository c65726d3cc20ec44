"""Lets threads share a commit: what arrives while one transaction is written goes into the next one together.

There is no thread of its own to start or stop: a thread that finds nobody at work becomes the leader, does the work of
all that wait, and hands the lead to the first that came meanwhile.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Lock
from typing import Generic, TypeVar

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage.repeats import note_commit, repeat

Key = TypeVar("Key", bound=Hashable)
Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_GATHER = 0.005
"""The most seconds that a leader waits for others to join."""
REMEMBERED = 1000
"""The most keys whose groups are kept. A group that is forgotten while threads use it still serves them."""


def _closed_gate() -> Lock:
    """A gate at which one thread waits until another opens it once: a bare lock, as an Event wakes in two steps."""
    gate = Lock()
    gate.acquire()
    return gate


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Result]):
    """A submitted item. Its thread is woken when the result is there, or to lead."""

    item: Item
    result: Result | None = None
    error: Exception | None = None
    settled: bool = False
    gate: Lock = field(default_factory=_closed_gate)

    def settle(self, result: Result | None, error: Exception | None = None) -> None:
        self.result, self.error, self.settled = result, error, True
        self.gate.release()


class GroupCommit(Generic[Item, Result]):
    """Calls `commit` with all waiting items, never from two threads at once.

    `commit` takes 1..`limit` items in order of arrival and returns as many results once they are durable; it does
    either all of them, or none and raises.
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
        """Has `item` done; returns its result or raises its error. A failing item does not affect the others."""
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
        note_commit()
        return ticket.result  # type: ignore[return-value]  # settled without an error: it is a Result

    def _lead(self) -> None:
        """Settles one batch, whose first item is the calling thread's own, and passes the lead on."""
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
        """Takes the waiting items, once as many wait as recently.

        Senders that were just answered often send again at once, and a transaction costs much the same for one
        item as for ten, so a leader waits for them, but no longer than the last commit took.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) >= self._expected, self._patience)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limit))]

    def _settle(self, batch: Sequence[_Ticket[Item, Result]]) -> None:
        """Commits `batch`; if that fails, bisects it until the failing item is alone.

        What the database rolled back, such as the victim of a deadlock, is repeated as it was.
        """
        try:
            results = repeat(lambda: self._commit([ticket.item for ticket in batch]))
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


class GroupCommits(Generic[Key, Item, Result]):
    """A group commit for each key, such as a tenant: nobody waits for what another key's items wait for."""

    def __init__(self, commit: Callable[[Key, Sequence[Item]], Sequence[Result]], limit: int = 100) -> None:
        """`commit` is called with a key and its items, else as by GroupCommit."""
        self._commit = commit
        self._limit = limit
        self._groups: OrderedDict[Key, GroupCommit[Item, Result]] = OrderedDict()
        self._lock = Lock()

    def submit(self, key: Key, item: Item) -> Result:
        """Has `item` done with others of its key; returns its result or raises its error."""
        with self._lock:
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = GroupCommit(partial(self._commit, key), self._limit)
            self._groups.move_to_end(key)
            while len(self._groups) > REMEMBERED:
                self._groups.popitem(last=False)
        return group.submit(item)
