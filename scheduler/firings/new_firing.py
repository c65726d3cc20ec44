"""A firing to record: its trigger under lock, its values, and whether and when it may wake its agent.

An agent's own triggers together wake it at most once per interval. Nothing is lost: a delayed firing is recorded at
once and rides along in any window that closes sooner.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, case, func, select, text

from scheduler.domain.ids import new_id
from scheduler.domain.lineage import OWN_PACE, own_pace_note
from scheduler.domain.model import Trust
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import Agent, Job, Trigger
from scheduler.storage.tables.tenants import AgentPace

NOTED_AGAIN = timedelta(minutes=10)
"""The minimum time between audit events about delayed triggers of one agent."""

# Written after the windows and in the order of the agents, as everywhere.
KEEP_PACES = text("""
    INSERT INTO agent_paces AS p (agent_id, woken_at, noted_at)
    SELECT v.agent_id, v.woken_at, CASE WHEN v.waits THEN CAST(:now AS timestamptz) END
    FROM unnest(CAST(:agents AS uuid[]), CAST(:wakes AS timestamptz[]), CAST(:waits AS bool[]))
        AS v(agent_id, woken_at, waits)
    ORDER BY v.agent_id
    ON CONFLICT (agent_id) DO UPDATE SET woken_at = excluded.woken_at,
        noted_at = CASE WHEN excluded.noted_at - CAST(:again AS interval) < p.noted_at THEN p.noted_at
            ELSE coalesce(excluded.noted_at, p.noted_at) END
    RETURNING agent_id, noted_at = CAST(:now AS timestamptz) AS is_noted
""")

NAMES = text("""
    SELECT t.id, t.tenant_id, t.agent_id, t.name, t.root_id IS NOT NULL AS is_loop, a.name AS agent_name
    FROM triggers t JOIN agents a ON a.id = t.agent_id WHERE t.id = ANY(CAST(:ids AS uuid[]))
""")

NEXT_WAKE = text("""
    SELECT least(woken_at, clock_timestamp()) + CAST(:pace AS interval) FROM agent_paces WHERE agent_id = :agent_id
""")
MOST_BYTES = 16 * 1024 * 1024
"""The size limit of a firing's payload and data from a kind's check."""


def paced(trigger: LockedTrigger, now: datetime) -> datetime:
    """Returns when a trigger may wake its agent: now, or later if another of the agent's own triggers just did.

    A wake that is still ahead counts as now, as the window may have closed for another firing meanwhile.
    """
    if not trigger.is_paced or trigger.paced_at is None:
        return now
    return max(now, min(trigger.paced_at, now) + OWN_PACE)


def next_own_wake(conn: Connection, agent_id: UUID) -> datetime | None:
    """Returns when an agent may next be woken by its own triggers; None if it never was."""
    found: datetime | None = conn.scalar(NEXT_WAKE, {"agent_id": agent_id, "pace": OWN_PACE})
    return found


def keep_paces(conn: Connection, now: datetime, wakes: Mapping[LockedTrigger, datetime]) -> None:
    """Stores when agents are woken by their own triggers, one row per agent, and audits those that wait."""
    if not wakes:
        return
    kept = conn.execute(
        KEEP_PACES,
        {
            "now": now,
            "again": NOTED_AGAIN,
            "agents": uuid_array([trigger.agent_id for trigger in wakes]),
            "wakes": array(wakes.values()),
            "waits": [wakes[trigger] == paced(trigger, now) > now for trigger in wakes],
        },
    )
    noted = {row.agent_id for row in kept if row.is_noted}
    told = {trigger.id: at for trigger, at in wakes.items() if trigger.agent_id in noted}
    if told:
        rows = rows_as(_Paced, conn.execute(NAMES, {"ids": uuid_array(told)}))
        record_events(conn, [_event(row, told[row.id]) for row in rows])


class _Paced(NamedTuple):
    """A trigger whose firing waits for its agent's pace."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    agent_name: str
    name: str
    is_loop: bool


def _event(row: _Paced, until: datetime) -> Event:
    note = own_pace_note(row.agent_name, row.name, until, is_loop=row.is_loop)
    detail = {"note": note, "trigger": row.name, "until": until.isoformat()}
    return Event("agent.paced", row.tenant_id, row.agent_id, row.agent_id, detail=detail)


class LockedTrigger(NamedTuple):
    """A trigger locked by this transaction, with its agent's window settings.

    A tuple, since a pass creates thousands.
    """

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    name: str
    type: str
    is_enabled: bool
    expires_at: datetime | None
    max_fires: int | None
    fire_count: int
    urgent: bool
    cooldown_seconds: float
    last_wake_at: datetime | None
    dedup_delay_seconds: float
    max_batch: int
    is_paced: bool
    """Whether its agent created it, so that it shares the agent's pace."""
    paced_at: datetime | None
    """When the agent was last, or will next be, woken by one of those."""
    read_at: datetime
    """The database's clock when the row was locked: the time of any firing made now."""


PACED_AT = select(AgentPace.woken_at).where(AgentPace.agent_id == Trigger.agent_id).scalar_subquery()

LOCKED_COLUMNS = (
    Trigger.id,
    Trigger.tenant_id,
    Trigger.agent_id,
    Trigger.name,
    Trigger.type,
    Trigger.is_enabled,
    Trigger.expires_at,
    Trigger.max_fires,
    Trigger.fire_count,
    Trigger.urgent,
    Trigger.cooldown_seconds,
    Trigger.last_wake_at,
    Agent.dedup_delay_seconds,
    Agent.max_batch,
    Trigger.is_paced,
    case((Trigger.is_paced, PACED_AT)).label("paced_at"),
    func.clock_timestamp().label("read_at"),
)


def lock_with_jobs(conn: Connection, ids: Collection[UUID]) -> dict[UUID, LockedTrigger]:
    """Locks triggers like `lock_triggers`, and their jobs before them, for callers that may stop the jobs."""
    conn.execute(
        select(Job.kind).where(Job.trigger_id.in_(ids)).order_by(Job.trigger_id, Job.kind).with_for_update()
    )
    return lock_triggers(conn, ids)


def lock_triggers(conn: Connection, ids: Collection[UUID]) -> dict[UUID, LockedTrigger]:
    """Locks the triggers with these ids, ordered by id; omits deleted ones."""
    result = conn.execute(
        select(*LOCKED_COLUMNS)
        .join(Agent, Agent.id == Trigger.agent_id)
        .where(Trigger.id.in_(ids), Trigger.deleted_at.is_(None))
        .order_by(Trigger.id)
        .with_for_update(of=Trigger)
    )
    return {each.id: each for each in rows_as(LockedTrigger, result)}


@dataclass(slots=True)
class NewFiring:
    """A firing to record: its trigger, its occurrence and its content."""

    trigger: LockedTrigger
    occurrence_key: str
    """Unique per trigger: an occurrence is recorded once, however often it is reported."""
    id: UUID = field(default_factory=new_id)
    first_scheduled_for: datetime | None = None
    scheduled_for: datetime | None = None
    """Its slots are nominal times, before jitter."""
    due_at: datetime | None = None
    """When its newest slot was to fire, if that differs from the slot."""
    slot_count: int = 1
    slots_exact: bool = True
    payload: bytes | None = None
    content_type: str | None = None
    data: dict[str, Any] | None = None
    trust: Trust = Trust.SYSTEM
    immediate: bool = False
    """The window closes now, as for an urgent trigger."""
    ignore_cooldown: bool = False
    ignore_pace: bool = False
    """Requested by a person: the pace of the agent's own triggers does not apply."""
    root_id: UUID | None = None
    depth: int = 0
    traceparent: str | None = None
    """The valid trace context of the request that fires it, if it had one."""


def check_size(firing: NewFiring) -> None:
    """Raises ValueError for a firing larger than MOST_BYTES, and JSON's exceptions for its data."""
    size = len(firing.payload or b"") + (0 if firing.data is None else len(json.dumps(firing.data)))
    if size > MOST_BYTES:
        raise ValueError(f"A firing carries {size} bytes; at most {MOST_BYTES} are allowed.")


@dataclass(frozen=True)
class Recorded:
    """The result for each reported firing, by its id."""

    windows: Sequence[tuple[NewFiring, UUID]]
    """Each firing, duplicates included, with the invocation that is its window."""
    duplicates: dict[UUID, UUID]
    """Firing id to the id of the earlier firing of the same occurrence."""
    exhausted: frozenset[UUID]
    """Triggers that reached `max_fires` and are disabled. The caller stops their jobs."""
    next_due: datetime | None
    """When the first of the windows closes; None when all are held."""

    @cached_property
    def inserted(self) -> dict[UUID, UUID]:
        """Firing id to the id of the invocation that carries it."""
        return {firing.id: window_id for firing, window_id in self.windows if firing.id not in self.duplicates}

    @property
    def count(self) -> int:
        """How many were inserted."""
        return len(self.windows) - len(self.duplicates)


def gate(trigger: LockedTrigger, now: datetime) -> str | None:
    """Returns why `trigger` may not fire at `now`: `disabled`, `expired` or `max_fires`; None when it may."""
    if not trigger.is_enabled:
        return "disabled"
    if trigger.expires_at is not None and trigger.expires_at <= now:
        return "expired"
    if trigger.max_fires is not None and trigger.fire_count >= trigger.max_fires:
        return "max_fires"
    return None


def wake_at(firing: NewFiring, now: datetime) -> datetime:
    """Returns when the agent may be woken for `firing`: after the window's delay and the trigger's cooldown."""
    trigger = firing.trigger
    allowed = now if firing.ignore_pace else paced(trigger, now)
    if firing.immediate or trigger.urgent:
        return allowed
    due = max(allowed, now + timedelta(seconds=trigger.dedup_delay_seconds))
    if trigger.last_wake_at is None or firing.ignore_cooldown:
        return due
    return max(due, trigger.last_wake_at + timedelta(seconds=trigger.cooldown_seconds))
