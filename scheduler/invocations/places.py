"""Divides the places of a worker fairly, so that no host or tenant takes all of them."""

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
from scheduler.storage.pauses import SERVICE_IS_PAUSED
from scheduler.storage.rows import rows_as

SHARE = 3
"""A host, or one of several tenants, may take up to this many times the free places: of 200 it may have 150, two
of them 85 each. However many do not answer, there are places left for others.
"""

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ready invocation with the data for counting its place."""

    id: UUID
    tenant_id: UUID
    url: str
    max_concurrent_runs: int | None
    has_neighbours: bool

    @property
    def host(self) -> str:
        """The host and port of the agent; empty for one without."""
        try:
            return urlsplit(self.url).netloc.rpartition("@")[2].lower()
        except ValueError:
            return self.url


def read_candidates(conn: Connection, ids: Iterable[UUID]) -> list[Candidate]:
    """Returns the ready ones among the invocations, oldest first."""
    return rows_as(Candidate, conn.execute(CANDIDATES, {"ids": uuid_array(ids)}))


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


class Places:
    """Counts what runs on this worker. Thread-safe."""

    def __init__(self, total: int) -> None:
        self.free = total
        self._lock = Lock()
        self._of_hosts: Counter[str] = Counter()
        self._of_tenants: Counter[UUID] = Counter()

    def take(self, candidates: Sequence[Candidate], rooms: dict[UUID, int]) -> list[Candidate]:
        """Takes a place for each candidate that may have one now, in order. `rooms` are what is left to tenants."""
        with self._lock:
            return [each for each in candidates if self._take(each, rooms)]

    def give_back(self, candidate: Candidate) -> None:
        """Frees the place of an ended run."""
        with self._lock:
            self.free += 1
            self._of_tenants[candidate.tenant_id] -= 1
            self._of_hosts[candidate.host] -= 1
            # remove entries at zero, so that the counters do not grow
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
