"""Divides the places of a worker fairly, so that no host or tenant takes all of them."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.queue.tasks import Capacity
from scheduler.storage.advisory_locks import AdvisoryLock
from scheduler.storage.arrays import uuid_array
from scheduler.storage.pauses import SERVICE_IS_PAUSED
from scheduler.storage.pipelines import send_along
from scheduler.storage.rows import rows_as

SHARE = 3
"""A host, or one of several tenants, may take up to this many times the free places: of 200 it may have 150, two
of them 85 each. However many do not answer, there are places left for others. Of a host's places, one of several
tenants may take up to this many times those that the host has left: 139 of the 150.
"""

LOOK_SECONDS = 0.005
ROOM_SECONDS = 0.05
FULL_SECONDS = 0.2
"""With fewer free places than a job has runs: how often to check for more before fetching, how long while a few
are free, and how long while none is.
"""

HOLD_SECONDS = 0.2
"""A run without a place is kept if there will be one for it within this time; else it goes back to the queue."""
RATE_SECONDS = 0.5
"""The period over which the rate of ending runs of a host is measured."""
MOST_HOSTS = 1000
"""So many hosts may have a rate before those whose runs ended long ago are forgotten."""

FIRST_WAIT, LONGEST_WAIT, MOST_WAITS = 0.05, 2.0, 6
"""The seconds after which a job that was put back is fetched again; doubled each time that none of its runs could
start.
"""
BETWEEN_RETURNS = 0.05
"""The seconds between two returning jobs, so that thousands of waiting ones do not occupy the worker."""

CANDIDATES = text(f"""
    SELECT i.id, i.tenant_id, coalesce(a.runtime->>'url', '') AS url,
        CASE WHEN t.is_paused OR {SERVICE_IS_PAUSED} THEN 0 ELSE t.max_concurrent_runs END AS max_concurrent_runs,
        (SELECT count(*) > 1 FROM (SELECT FROM tenants LIMIT 2) AS first_two) AS has_neighbours
    FROM invocations i JOIN tenants t ON t.id = i.tenant_id LEFT JOIN agents a ON a.id = i.agent_id
    WHERE i.id = ANY(CAST(:ids AS uuid[])) AND i.state = 'ready' ORDER BY i.id
""")  # noqa: S608  # a constant of ours

# Serializes workers that claim for the same tenant.
LOCK_TENANT = text(f"SELECT pg_advisory_xact_lock({AdvisoryLock.PLACES.value}, hashtext(CAST(:id AS text)))")
RUNNING = text("SELECT count(*) FROM invocations WHERE tenant_id = :id AND state = 'running'")


Key = TypeVar("Key")


@dataclass(frozen=True)  # without slots, for what is cached
class Candidate:
    """A ready invocation with the data for counting its place."""

    id: UUID
    tenant_id: UUID
    url: str
    max_concurrent_runs: int | None
    has_neighbours: bool

    @cached_property
    def host(self) -> str:
        """The host and port of the agent; empty for one without."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return self.url


def read_candidates(conn: Connection, ids: Iterable[UUID]) -> list[Candidate]:
    """Returns the ready ones among the invocations, oldest first."""
    return rows_as(Candidate, send_along(conn, CANDIDATES, ids=uuid_array(ids)))


def rooms_of_tenants(conn: Connection, candidates: Sequence[Candidate]) -> dict[UUID, int]:
    """Returns how many more may run for each tenant with a `max_concurrent_runs`; none of a paused tenant."""
    limits = {
        each.tenant_id: each.max_concurrent_runs for each in candidates if each.max_concurrent_runs is not None
    }
    rooms = {}
    for tenant_id in sorted(limits):
        conn.execute(LOCK_TENANT, {"id": tenant_id})
        rooms[tenant_id] = limits[tenant_id] - conn.execute(RUNNING, {"id": tenant_id}).scalar_one()
    return rooms


class RunSlots:
    """Counts what runs on this worker. Thread-safe."""

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic) -> None:
        self.free = total
        self.asked = 0
        """For how many runs of fetched jobs it is not decided yet whether they have a place."""
        self._lock = Lock()
        self._of_hosts: Counter[str] = Counter()
        self._of_tenants: Counter[UUID] = Counter()
        self._of_tenants_at_hosts: Counter[tuple[UUID, str]] = Counter()
        self.is_announced = False
        """Whether a job was added since the last look."""
        self._given_back = 0
        self._now = now
        self._ended: dict[str, tuple[float, float]] = {}
        """Of each host, how many runs ended, those of long ago counting less; and when the last one did."""

    def take(self, candidates: Sequence[Candidate], rooms: dict[UUID, int]) -> list[Candidate]:
        """Takes a place for each candidate that may have one now, in order. `rooms` are what is left to tenants."""
        with self._lock:
            return [each for each in candidates if self._take(each, rooms)]

    def give_back(self, candidate: Candidate) -> None:
        """Frees the place of an ended run."""
        with self._lock:
            self.free += 1
            self._count(candidate, -1)
            self._given_back += 1
            self._note_end(candidate.host)

    def frees_soon(self, candidates: Sequence[Candidate]) -> bool:
        """Whether all of them will have a place within HOLD_SECONDS, at the rate at which runs end now.

        Of a tenant with a `max_concurrent_runs` that is not known, since its runs may be on other workers.
        """
        wanted = Counter(each.host for each in candidates)
        with self._lock:
            return all(each.max_concurrent_runs is None for each in candidates) and all(
                count <= self._ended_lately(host) / RATE_SECONDS * HOLD_SECONDS for host, count in wanted.items()
            )

    async def room(self, wanted: int) -> Capacity:
        """Returns whether there are free places that nobody requests. Waits a moment if there are fewer than
        `wanted`.

        A job that was just added may be a small one, which may request places that a large one requests too.
        """
        for look in range(round(FULL_SECONDS / LOOK_SECONDS)):
            room = self.free - self.asked
            is_any = room >= wanted or (room > 0 and look * LOOK_SECONDS >= ROOM_SECONDS)
            if is_any or (self.is_announced and self.free > 0):
                self.is_announced = False
                return Capacity.ANY if is_any else Capacity.SMALL
            await asyncio.sleep(LOOK_SECONDS)
        return Capacity.ANY if self.free > self.asked else Capacity.NONE

    async def freed(self, count: int) -> None:
        """Waits until so many runs have ended, HOLD_SECONDS at most."""
        enough = self._given_back + count
        for _ in range(round(HOLD_SECONDS / LOOK_SECONDS)):
            if self._given_back >= enough:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _note_end(self, host: str) -> None:
        now = self._now()
        self._ended[host] = self._ended_lately(host) + 1, now
        if len(self._ended) > MOST_HOSTS:
            self._ended = {
                each: ended for each, ended in self._ended.items() if now - ended[1] < 10 * RATE_SECONDS
            }

    def _ended_lately(self, host: str) -> float:
        count, at = self._ended.get(host, (0.0, 0.0))
        return count * math.exp((at - self._now()) / RATE_SECONDS)

    def _count(self, candidate: Candidate, more: int) -> None:
        tenant_id, host = candidate.tenant_id, candidate.host
        _add(self._of_tenants, tenant_id, more)
        _add(self._of_hosts, host, more)
        _add(self._of_tenants_at_hosts, (tenant_id, host), more)

    def _take(self, candidate: Candidate, rooms: dict[UUID, int]) -> bool:
        tenant_id, host = candidate.tenant_id, candidate.host
        share = SHARE * self.free
        left_at_host = share - self._of_hosts[host] if host else share
        theirs, theirs_at_host = self._of_tenants[tenant_id], self._of_tenants_at_hosts[tenant_id, host]
        if (
            self.free <= 0
            or rooms.get(tenant_id, 1) <= 0
            or left_at_host <= 0
            or (candidate.has_neighbours and (theirs >= share or theirs_at_host >= SHARE * left_at_host))
        ):
            return False
        self.free -= 1
        self._count(candidate, 1)
        if tenant_id in rooms:
            rooms[tenant_id] -= 1
        return True


def _add(counts: Counter[Key], key: Key, more: int) -> None:
    """Counts; removes an entry at zero, so that they do not grow."""
    counts[key] += more
    if not counts[key]:
        del counts[key]


class ReturnTimes:
    """Decides when jobs that were put back return. Thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._last = 0.0
        self._lock = Lock()

    def delay(self, waits: int) -> float:
        """Returns the seconds until the next job may be fetched again, of which no run could start `waits` times."""
        now = self._now()
        with self._lock:
            self._last = max(now + min(FIRST_WAIT * 2**waits, LONGEST_WAIT), self._last + BETWEEN_RETURNS)
            return self._last - now
