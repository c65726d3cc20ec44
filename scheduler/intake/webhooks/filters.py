"""Filters of webhooks at work: one at a time, taking turns by tenant, each agent with a purse of processor time.

A JSON path is run by Python, so it takes the processor from every other thread of the process. What it may cost is
bounded for a delivery, for an agent and for a tenant.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from uuid import UUID

from scheduler.intake.webhooks.shapes import Delivery, FilterFirst, FilterResult

MINUTE = 60.0
AGENT_SECONDS = 2.0
"""Processor time that the filters of one agent may use in any minute, in each process."""
TENANT_SECONDS = 5.0
REMEMBERED = 10_000
"""Owners whose use is remembered; who is forgotten has used little lately."""


class Turns:
    """Lets one thread work at a time. Of those that wait, each owner's first comes by turns."""

    def __init__(self) -> None:
        self._changing = Lock()
        self._is_taken = False
        self._waiting: OrderedDict[UUID, deque[Lock]] = OrderedDict()

    @contextmanager
    def turn(self, owner: UUID) -> Iterator[None]:
        """Wait for a turn, and hold it."""
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


class Purse:
    """How much processor time each owner used in the last minute."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent: OrderedDict[UUID, deque[tuple[float, float]]] = OrderedDict()

    def wait(self, owner: UUID, now: float) -> float:
        """Seconds until this owner may use some again; 0: now."""
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
        """Note what was used. Uses within a tenth of a second are one entry, so that a purse holds few."""
        spent = self._spent.setdefault(owner, deque())
        if spent and now - spent[-1][0] < 0.1:
            spent[-1] = (spent[-1][0], spent[-1][1] + seconds)
        else:
            spent.append((now, seconds))
        self._spent.move_to_end(owner)
        while len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)


class Filters:
    """Asks filters of deliveries for all threads of a process."""

    def __init__(self, agent_seconds: float = AGENT_SECONDS, tenant_seconds: float = TENANT_SECONDS) -> None:
        self._turns = Turns()
        self._agents = Purse(agent_seconds)
        self._tenants = Purse(tenant_seconds)

    def ask(self, asked: FilterFirst, delivery: Delivery) -> FilterResult:
        """What the filter says of the delivery. Waits for its turn; takes some tens of milliseconds at most."""
        with self._turns.turn(asked.tenant_id):
            now = time.monotonic()
            refusal = self._refusal(asked, now)
            if refusal is not None:
                return refusal
            began = time.thread_time()
            mismatch, was_stopped = asked.filter.look(delivery.headers, delivery.body)
            used = time.thread_time() - began
            self._agents.spend(asked.agent_id, now, used)
            self._tenants.spend(asked.tenant_id, now, used)
        return FilterResult(asked.filter, mismatch, was_stopped)

    def _refusal(self, asked: FilterFirst, now: float) -> FilterResult | None:
        for whose, purse, owner in (
            ("agent", self._agents, asked.agent_id),
            ("tenant", self._tenants, asked.tenant_id),
        ):
            wait = purse.wait(owner, now)
            if wait > 0:
                rule = f"the webhook filters of this {whose} have used up their processor time of a minute"
                return FilterResult(asked.filter, refusal=rule, retry_after=wait)
        return None
