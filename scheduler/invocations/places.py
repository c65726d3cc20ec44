"""Shares the places of a worker fairly: no host, and no tenant beside others, takes all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.advisory_locks import AdvisoryLock
from scheduler.storage.arrays import uuid_array
from scheduler.storage.rows import rows_as

SHARE = 3
"""A host, or a tenant beside others, takes up to so many times the places that are free: of 200 it may have 150, two
of them 85 each. However many do not answer, there are places left for who comes next."""

CANDIDATES = text("""
    SELECT i.id, i.tenant_id, coalesce(a.runtime->>'url', '') AS url, t.max_concurrent_runs,
        (SELECT count(*) > 1 FROM (SELECT FROM tenants LIMIT 2) AS first_two) AS has_neighbours
    FROM invocations i JOIN tenants t ON t.id = i.tenant_id LEFT JOIN agents a ON a.id = i.agent_id
    WHERE i.id = ANY(CAST(:ids AS uuid[])) AND i.state = 'ready' ORDER BY i.id
""")

# Two workers that claim for one tenant count one after the other.
LOCK_TENANT = text(f"SELECT pg_advisory_xact_lock({AdvisoryLock.PLACES.value}, hashtext(CAST(:id AS text)))")
RUNNING = text("SELECT count(*) FROM invocations WHERE tenant_id = :id AND state = 'running'")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready invocation, and what its place is counted for."""

    id: UUID
    tenant_id: UUID
    url: str
    max_concurrent_runs: int | None
    has_neighbours: bool

    @property
    def host(self) -> str:
        """Host and port of the agent; empty for one that has none."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return self.url


def read_candidates(conn: Connection, ids: Iterable[UUID]) -> list[Candidate]:
    """Those of the invocations that are ready, oldest first."""
    return rows_as(Candidate, conn.execute(CANDIDATES, {"ids": uuid_array(ids)}))


def rooms_of_tenants(conn: Connection, candidates: Sequence[Candidate]) -> dict[UUID, int]:
    """How many more may run of each tenant that has a `max_concurrent_runs`, over all workers."""
    limits = {
        each.tenant_id: each.max_concurrent_runs for each in candidates if each.max_concurrent_runs is not None
    }
    rooms = {}
    for tenant_id in sorted(limits):
        conn.execute(LOCK_TENANT, {"id": tenant_id})
        rooms[tenant_id] = limits[tenant_id] - conn.execute(RUNNING, {"id": tenant_id}).scalar_one()
    return rooms


class Places:
    """What runs on this worker, counted; safe to be used by threads."""

    def __init__(self, total: int) -> None:
        self.free = total
        self._lock = Lock()
        self._of_hosts: Counter[str] = Counter()
        self._of_tenants: Counter[UUID] = Counter()

    def take(self, candidates: Sequence[Candidate], rooms: dict[UUID, int]) -> list[Candidate]:
        """Take a place for each candidate that may have one now, in order. `rooms` are those left to tenants."""
        with self._lock:
            return [each for each in candidates if self._take(each, rooms)]

    def give_back(self, candidate: Candidate) -> None:
        """Free the place of a run that has ended."""
        with self._lock:
            self.free += 1
            self._of_tenants[candidate.tenant_id] -= 1
            self._of_hosts[candidate.host] -= 1
            # What is not there is not counted for ever.
            self._of_tenants += Counter()
            self._of_hosts += Counter()

    def _take(self, candidate: Candidate, rooms: dict[UUID, int]) -> bool:
        tenant_id, host = candidate.tenant_id, candidate.host
        share = SHARE * self.free
        if (
            self.free <= 0
            or rooms.get(tenant_id, 1) <= 0
            or (host and self._of_hosts[host] >= share)
            or (candidate.has_neighbours and self._of_tenants[tenant_id] >= share)
        ):
            return False
        self.free -= 1
        self._of_hosts[host] += 1
        self._of_tenants[tenant_id] += 1
        if tenant_id in rooms:
            rooms[tenant_id] -= 1
        return True
