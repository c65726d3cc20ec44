"""Reads the timeline of the home page with bounded queries, however large the history is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.read_models.spans import first_id
from scheduler.storage.read_models.status import SignsOfLife, read_signs_of_life
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import IS_ACTIVE

MAX_FIRINGS = 1000
MAX_INVOCATIONS = 400
MAX_UPCOMING = 200
MAX_AGENTS = 1000
LOOKED_AT = 1000
"""The most jobs and triggers searched for the next fires: the soonest overall, and the tenant's newest."""

FIRINGS = text("""
    SELECT id, agent_id, trigger_id, trigger_name, trigger_type, fired_at, scheduled_for, due_at, slot_count, state,
        invocation_id
    FROM firings WHERE tenant_id = :tenant_id AND id >= :since_id
    ORDER BY id DESC LIMIT :most
""")

INVOCATIONS = text("""
    SELECT id, agent_id, state, opened_at, due_at, held_reason, firing_count, ready_at, started_at, finished_at,
        attempt, reason
    FROM invocations WHERE tenant_id = :tenant_id AND id >= :since_id
    ORDER BY id DESC LIMIT :most
""")

# Both partial unique indexes hold at most one row per agent.
OPEN = text(f"""
    SELECT id, agent_id, state, opened_at, due_at, held_reason, firing_count, ready_at, started_at, finished_at,
        attempt, reason
    FROM invocations WHERE tenant_id = :tenant_id AND state = 'collecting'
    UNION ALL
    SELECT id, agent_id, state, opened_at, due_at, held_reason, firing_count, ready_at, started_at, finished_at,
        attempt, reason
    FROM invocations WHERE tenant_id = :tenant_id AND {IS_ACTIVE}
    LIMIT :most
""")  # noqa: S608  # our own constant

UPCOMING = text("""
    WITH soonest AS (
        SELECT trigger_id FROM jobs WHERE next_run_time IS NOT NULL AND kind = 'fire'
        ORDER BY next_run_time LIMIT :looked_at
    ), newest AS (
        SELECT id FROM triggers WHERE tenant_id = :tenant_id AND deleted_at IS NULL ORDER BY id DESC LIMIT :looked_at
    ), candidates AS (
        SELECT trigger_id AS id FROM soonest UNION SELECT id FROM newest
    )
    SELECT t.id, t.agent_id, t.name, t.type, j.next_run_time
    FROM candidates c
    JOIN triggers t ON t.id = c.id AND t.tenant_id = :tenant_id AND t.deleted_at IS NULL
    JOIN jobs j ON j.trigger_id = t.id AND j.kind = 'fire' AND j.next_run_time IS NOT NULL
    ORDER BY j.next_run_time LIMIT :most
""")

AGENTS = text("""
    SELECT id, name, is_paused, paused_note FROM agents
    WHERE tenant_id = :tenant_id AND deleted_at IS NULL ORDER BY id DESC LIMIT :most
""")

NAMED = text("SELECT id, name, is_paused, paused_note FROM agents WHERE tenant_id = :tenant_id AND id = ANY(:ids)")

REPAIRED = text("""
    SELECT count(*) FROM (
        SELECT action, at FROM audit_events WHERE tenant_id = :tenant_id ORDER BY id DESC LIMIT :looked_at
    ) AS newest WHERE action = 'trigger.repaired' AND at > clock_timestamp() - interval '1 day'
""")


class TimelineFiring(NamedTuple):
    """A firing in the timeline."""

    id: UUID
    agent_id: UUID
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    fired_at: datetime
    scheduled_for: datetime | None
    due_at: datetime | None
    slot_count: int
    state: str
    invocation_id: UUID


class TimelineInvocation(NamedTuple):
    """A window or an invocation in the timeline."""

    id: UUID
    agent_id: UUID
    state: str
    opened_at: datetime
    due_at: datetime | None
    held_reason: str | None
    firing_count: int
    ready_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    reason: str | None


class UpcomingFire(NamedTuple):
    """The next fire of a trigger."""

    id: UUID
    agent_id: UUID
    name: str
    type: str
    next_run_time: datetime


class TimelineAgent(NamedTuple):
    """An agent of the timeline."""

    id: UUID
    name: str
    is_paused: bool
    paused_note: str | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A tenant's recent and upcoming activity as of `now`, the database's clock."""

    now: datetime
    firings: Sequence[TimelineFiring]
    """Newest first."""
    invocations: Sequence[TimelineInvocation]
    """Newest first: those opened in the span, and all that are still open."""
    upcoming: Sequence[UpcomingFire]
    """The next fire of each trigger, soonest first."""
    agents: Sequence[TimelineAgent]
    """The newest agents, and those of everything above."""
    signs: SignsOfLife
    repaired: int
    """Triggers whose native job had to be repaired in the last day; normally 0."""


def read_timeline(conn: Connection, tenant_id: UUID, span: timedelta) -> Timeline:
    """Reads a tenant's last `span` and its next fires."""
    now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    since = now - span
    recent = {"tenant_id": tenant_id, "since_id": first_id(since)}
    firings = rows_as(TimelineFiring, conn.execute(FIRINGS, recent | {"most": MAX_FIRINGS}))
    ended = rows_as(TimelineInvocation, conn.execute(INVOCATIONS, recent | {"most": MAX_INVOCATIONS}))
    open_ = rows_as(TimelineInvocation, conn.execute(OPEN, {"tenant_id": tenant_id, "most": MAX_INVOCATIONS}))
    upcoming = rows_as(
        UpcomingFire,
        conn.execute(UPCOMING, {"tenant_id": tenant_id, "looked_at": LOOKED_AT, "most": MAX_UPCOMING}),
    )
    invocations = list({row.id: row for row in (*open_, *ended)}.values())
    invocations.sort(key=lambda row: row.id, reverse=True)
    seen = {row.agent_id for row in firings} | {row.agent_id for row in invocations}
    seen |= {row.agent_id for row in upcoming}
    return Timeline(
        now=now,
        firings=firings,
        invocations=invocations,
        upcoming=upcoming,
        agents=_agents(conn, tenant_id, seen),
        signs=read_signs_of_life(conn),
        repaired=conn.execute(REPAIRED, {"tenant_id": tenant_id, "looked_at": LOOKED_AT}).scalar_one(),
    )


def _agents(conn: Connection, tenant_id: UUID, seen: set[UUID]) -> list[TimelineAgent]:
    newest = rows_as(TimelineAgent, conn.execute(AGENTS, {"tenant_id": tenant_id, "most": MAX_AGENTS}))
    others = seen - {row.id for row in newest}
    if not others:
        return newest
    return [*newest, *rows_as(TimelineAgent, conn.execute(NAMED, {"tenant_id": tenant_id, "ids": list(others)}))]
