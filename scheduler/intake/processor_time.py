"""Limits the processor time of untrusted input: one task at a time, within a budget for each agent.

The paths and expressions of triggers run in the threads that take deliveries and messages. Their cost is limited
per agent and tenant, so that others do not wait long.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar
from uuid import UUID

Result = TypeVar("Result")

MINUTE = 60.0
AGENT_SECONDS = 2.0
"""The processor time that one agent's work may use in any minute, in each process."""
TENANT_SECONDS = 5.0
REMEMBERED = 10_000
"""The most owners whose use is remembered; those forgotten have used little recently."""


class Turns:
    """Lets one thread work at a time. Waiting owners take turns."""

    def __init__(self) -> None:
        self._changing = Lock()
        self._is_taken = False
        self._waiting: OrderedDict[UUID, deque[Lock]] = OrderedDict()

    @contextmanager
    def turn(self, owner: UUID) -> Iterator[None]:
        """Waits for a turn and holds it."""
        with self._changing:
            gate = self._queue_up(owner) if self._is_taken else None
            self._is_taken = True
        if gate is not None:
            gate.acquire()
        try:
            yield
        finally:
            with self._changing:
                self._pass_on()

    def _queue_up(self, owner: UUID) -> Lock:
        gate = Lock()
        gate.acquire()
        self._waiting.setdefault(owner, deque()).append(gate)
        return gate

    def _pass_on(self) -> None:
        if not self._waiting:
            self._is_taken = False
            return
        owner, gates = self._waiting.popitem(last=False)
        gates.popleft().release()
        if gates:
            self._waiting[owner] = gates


class TimeBudget:
    """How much processor time each owner used in the last minute."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent: OrderedDict[UUID, deque[tuple[float, float]]] = OrderedDict()

    def wait(self, owner: UUID, now: float) -> float:
        """Returns the seconds until this owner may use more; 0 means now."""
        spent = self._spent.get(owner)
        while spent and spent[0][0] <= now - MINUTE:
            spent.popleft()
        over = sum(each for _, each in spent or ()) - self._seconds
        for at, seconds in spent or ():
            if over < 0:
                break
            over -= seconds
            if over < 0:
                return at + MINUTE - now
        return 0.0

    def spend(self, owner: UUID, now: float, seconds: float) -> None:
        """Records usage. Uses within a tenth of a second are merged into one entry, to keep the list short."""
        spent = self._spent.setdefault(owner, deque())
        if spent and now - spent[-1][0] < 0.1:
            spent[-1] = (spent[-1][0], spent[-1][1] + seconds)
        else:
            spent.append((now, seconds))
        self._spent.move_to_end(owner)
        while len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)


class ShareSpent(Exception):
    """An agent or its tenant has used up its share; `wait` is the seconds until there is more."""

    def __init__(self, whose: str, wait: float) -> None:
        super().__init__(f"the {whose} has used up its processor time of a minute")
        self.whose = whose
        self.wait = wait


class ProcessorTime:
    """The processor time of a process's threads for one kind of work."""

    def __init__(self, agent_seconds: float = AGENT_SECONDS, tenant_seconds: float = TENANT_SECONDS) -> None:
        self._turns = Turns()
        self._agents = TimeBudget(agent_seconds)
        self._tenants = TimeBudget(tenant_seconds)

    def use(self, tenant_id: UUID, agent_id: UUID, work: Callable[[], Result]) -> Result:
        """Does the work when its turn comes. Raises ShareSpent when it may not be done now."""
        with self._turns.turn(tenant_id):
            now = time.monotonic()
            for whose, budget, owner in (("agent", self._agents, agent_id), ("tenant", self._tenants, tenant_id)):
                wait = budget.wait(owner, now)
                if wait > 0:
                    raise ShareSpent(whose, wait)
            began = time.thread_time()
            try:
                return work()
            finally:
                used = time.thread_time() - began
                self._agents.spend(agent_id, now, used)
                self._tenants.spend(tenant_id, now, used)
