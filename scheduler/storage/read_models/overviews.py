"""Reads the list pages: each query reads one page by an index, with the data its rows show."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, func, select, text

from scheduler.storage.arrays import array
from scheduler.storage.read_models.history import INVOCATION, LAST_ERROR, LedgerFilter, only
from scheduler.storage.read_models.history_rows import DeadInvocation
from scheduler.storage.read_models.spans import EVER, Span, within
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import NEEDS_A_HUMAN, Agent, Invocation, Trigger
from scheduler.storage.tables.messages import User
from scheduler.storage.tables.notifications import NotificationTarget
from scheduler.triggers.registry import UNLISTED

MOST_COUNTED = 1000
"""The most rows that a page counts; the page shows when there are more."""
ALL = LedgerFilter()
NAMED_FIRINGS = 20
"""The firings per invocation whose triggers a list names."""
# The two lookups use different indexes: a window's firings point to it, a closed invocation lists its own.
WOKEN_BY = text(f"""
    SELECT i.id, array(
        SELECT DISTINCT f.trigger_name FROM (
            (SELECT trigger_name FROM firings WHERE i.firing_ids IS NULL AND invocation_id = i.id
             ORDER BY id LIMIT {NAMED_FIRINGS})
            UNION ALL
            (SELECT trigger_name FROM firings WHERE id = ANY(i.firing_ids[1:{NAMED_FIRINGS}]))
        ) f ORDER BY f.trigger_name
    )
    FROM invocations i WHERE i.id = ANY(CAST(:ids AS uuid[]))
""")  # noqa: S608  # constants only

STANDING = text(f"""
    SELECT a.id, counted.triggers, counted.enabled, latest.id AS invocation_id, latest.state,
        coalesce(latest.finished_at, latest.started_at, latest.ready_at, latest.opened_at) AS at
    FROM unnest(CAST(:ids AS uuid[])) AS a(id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS triggers, count(*) FILTER (WHERE is_enabled) AS enabled FROM (
            SELECT is_enabled FROM triggers
            WHERE agent_id = a.id AND deleted_at IS NULL AND type <> ALL(CAST(:unlisted AS text[])) LIMIT {MOST_COUNTED}
        ) few
    ) counted
    LEFT JOIN LATERAL (
        SELECT * FROM invocations WHERE agent_id = a.id ORDER BY id DESC LIMIT 1
    ) latest ON true
""")  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class Standing:
    """An agent's triggers, counted up to MOST_COUNTED, and its latest invocation, if it was ever woken."""

    id: UUID
    triggers: int
    enabled: int
    invocation_id: UUID | None
    state: str | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OwnedTrigger:
    """A trigger with its agent."""

    id: UUID
    name: str
    agent_id: UUID
    agent_name: str


def find_agents(
    conn: Connection,
    tenant_id: UUID,
    words: str = "",
    *,
    is_paused: bool | None = None,
    made: Span = EVER,
    limit: int,
    after: UUID | None = None,
) -> Sequence[Agent]:
    """Lists up to `limit` agents whose name contains `words` (case-insensitive), newest first, older than `after`."""
    query = select(Agent.__table__).where(Agent.tenant_id == tenant_id, Agent.deleted_at.is_(None))
    query = within(query, made, Agent.created_at, Agent.id)
    if words:
        query = query.where(Agent.name.icontains(words, autoescape=True))
    if is_paused is not None:
        query = query.where(Agent.is_paused.is_(is_paused))
    if after is not None:
        query = query.where(Agent.id < after)
    return rows_as(Agent, conn.execute(query.order_by(Agent.id.desc()).limit(limit)))


def summarize_agents(conn: Connection, agent_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Summarizes agents: `triggers` and `enabled` (counted up to MOST_COUNTED), and the latest invocation's
    `invocation_id`, `state` and `at`, which are None for an agent that was never woken.
    """
    return {
        row.id: row
        for row in rows_as(Standing, conn.execute(STANDING, {"ids": array(agent_ids), "unlisted": list(UNLISTED)}))
    }


def woken_by(conn: Connection, invocation_ids: Collection[UUID]) -> dict[UUID, list[str]]:
    """Returns the names of the triggers that invocations carry, alphabetically, from their oldest NAMED_FIRINGS
    firings.
    """
    rows = conn.execute(WOKEN_BY, {"ids": array(invocation_ids)})
    return {row[0]: row[1] for row in rows}


# What ended with an agent that was deleted afterwards cannot be replayed.
REPLAYABLE = and_(
    NEEDS_A_HUMAN,
    ~select(Agent.id).where(Agent.id == Invocation.agent_id, Agent.deleted_at.is_not(None)).exists(),
)


def list_dead(
    conn: Connection, tenant_id: UUID, wanted: LedgerFilter = ALL, *, limit: int, after: UUID | None = None
) -> Sequence[DeadInvocation]:
    """Lists up to `limit` invocations that ended dead or skipped, were not replayed and still have their agent,
    newest first, older than `after`, with the `error` of the last attempt.
    """
    query = only(conn, select(*INVOCATION, LAST_ERROR.label("error")), wanted)
    query = query.where(Invocation.tenant_id == tenant_id, REPLAYABLE)
    if after is not None:
        query = query.where(Invocation.id < after)
    return rows_as(DeadInvocation, conn.execute(query.order_by(Invocation.id.desc()).limit(limit)))


def count_dead(conn: Connection, tenant_id: UUID, wanted: LedgerFilter = ALL) -> int:
    """Counts what `list_dead` would list, up to MOST_COUNTED."""
    some = only(conn, select(Invocation.id).where(Invocation.tenant_id == tenant_id, REPLAYABLE), wanted)
    return conn.scalar(select(func.count()).select_from(some.limit(MOST_COUNTED).subquery())) or 0


def count_awaiting(conn: Connection, tenant_id: UUID) -> int:
    """Counts the triggers that await approval, up to MOST_COUNTED."""
    some = select(Trigger.id).where(
        Trigger.tenant_id == tenant_id, Trigger.approval == "awaiting", Trigger.deleted_at.is_(None)
    )
    return conn.scalar(select(func.count()).select_from(some.limit(MOST_COUNTED).subquery())) or 0


@dataclass(frozen=True, slots=True)
class TargetFilter:
    """Filters a tenant's notification targets.

    `error` matches part of the last delivery failure; `span` is its time.
    """

    agent_id: UUID | None = None
    state: str | None = None
    span: Span = EVER
    error: str | None = None


TARGET_STATES: dict[str, ColumnElement[bool]] = {
    "working": and_(NotificationTarget.note.is_(None), NotificationTarget.delivered_at.is_not(None)),
    "failing": NotificationTarget.note.is_not(None),
    "unused": and_(NotificationTarget.note.is_(None), NotificationTarget.delivered_at.is_(None)),
}


def list_all_targets(
    conn: Connection, tenant_id: UUID, wanted: TargetFilter, *, limit: int, after: UUID | None = None
) -> Sequence[NotificationTarget]:
    """Lists up to `limit` notification targets of a tenant's agents, newest first, older than `after`."""
    query = select(NotificationTarget.__table__).where(NotificationTarget.tenant_id == tenant_id)
    if wanted.agent_id is not None:
        query = query.where(NotificationTarget.agent_id == wanted.agent_id)
    if wanted.state is not None:
        query = query.where(TARGET_STATES[wanted.state])
    if wanted.span.since is not None:
        query = query.where(NotificationTarget.delivered_at >= wanted.span.since)
    if wanted.span.until is not None:
        query = query.where(NotificationTarget.delivered_at <= wanted.span.until)
    if wanted.error is not None:
        query = query.where(NotificationTarget.note.icontains(wanted.error, autoescape=True))
    if after is not None:
        query = query.where(NotificationTarget.id < after)
    return rows_as(NotificationTarget, conn.execute(query.order_by(NotificationTarget.id.desc()).limit(limit)))


def agent_names(conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> dict[UUID, str]:
    """Returns the names of a tenant's agents, deleted ones included."""
    rows = conn.execute(select(Agent.id, Agent.name).where(Agent.id.in_(ids), Agent.tenant_id == tenant_id))
    return {row.id: row.name for row in rows}


def owned_triggers(conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> dict[UUID, OwnedTrigger]:
    """Returns the `name`, `agent_id` and `agent_name` of a tenant's triggers, deleted ones included."""
    columns: tuple[Any, ...] = (Trigger.id, Trigger.name, Trigger.agent_id, Agent.name.label("agent_name"))
    query = select(*columns).join(Agent, Agent.id == Trigger.agent_id)
    rows = conn.execute(query.where(Trigger.id.in_(ids), Trigger.tenant_id == tenant_id))
    return {row.id: row for row in rows_as(OwnedTrigger, rows)}


def triggers_with_pages(conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> set[UUID]:
    """Returns those of a tenant's triggers that have a page: neither deleted nor system triggers."""
    shown = Trigger.deleted_at.is_(None), Trigger.type.not_in(UNLISTED)
    return set(conn.scalars(select(Trigger.id).where(Trigger.id.in_(ids), Trigger.tenant_id == tenant_id, *shown)))


def user_names(conn: Connection, tenant_id: UUID, ids: Collection[UUID]) -> dict[UUID, str]:
    """Returns the display names of a tenant's users."""
    name = func.coalesce(func.nullif(User.display_name, ""), User.name).label("name")
    rows = conn.execute(select(User.id, name).where(User.id.in_(ids), User.tenant_id == tenant_id))
    return {row.id: row.name for row in rows}
