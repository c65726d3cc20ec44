"""Reads triggers as the API, the CLI and the pages show them, an agent's own among them, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, func, literal, or_, select, text, union_all

from scheduler.domain.errors import NotFound
from scheduler.domain.model import JobKind, TriggerKind
from scheduler.storage.audit import SYSTEM
from scheduler.storage.read_models.deliveries import FILTERED
from scheduler.storage.read_models.history import AuditFilter, events_of, fired_by, newest
from scheduler.storage.read_models.history_rows import HistoryRow
from scheduler.storage.read_models.spans import Span
from scheduler.storage.read_models.trigger_lists import TriggerFilter, only
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.core import AWAITS_APPROVAL, Firing, Job, Trigger
from scheduler.storage.tables.log import AuditEvent, WebhookDelivery
from scheduler.triggers.registry import UNLISTED

AGENT_HELD = "agent.budget_spent"
TENANT_HELD = "tenant.budget_spent"
"""The audit actions for a budget that holds the windows of an agent or of a tenant's agents."""


@dataclass(frozen=True, slots=True)
class TriggerView:
    """A trigger and its job. `config` has no secrets; `timezone` is the effective zone."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    name: str
    type: str
    config: dict[str, Any]
    reason: str
    focus_ref: str | None
    timezone: str
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: datetime | None
    misfire_policy: str
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: str
    is_enabled: bool
    paused_note: str | None
    next_fire_at: datetime | None
    fire_count: int
    last_fired_at: datetime | None
    is_system: bool
    created_by: str
    approval: str | None
    created_at: datetime
    updated_at: datetime
    managed_by_agent: bool
    paused_by: str | None


_NAMED_OTHERWISE: dict[str, ColumnElement[Any]] = {
    "timezone": Trigger.zone.label("timezone"),
    "next_fire_at": Job.next_run_time.label("next_fire_at"),
}
"""The fields of TriggerView that are not columns of the same name."""


_COLUMNS: tuple[ColumnElement[Any], ...] = tuple(
    _NAMED_OTHERWISE[each.name] if each.name in _NAMED_OTHERWISE else Trigger.__table__.c[each.name]
    for each in fields(TriggerView)
)


def view_query() -> Select[Any]:
    """Selects the columns of TriggerView by name, without deleted triggers."""
    return (
        select(*_COLUMNS)
        .join(Job, and_(Job.trigger_id == Trigger.id, Job.kind == JobKind.FIRE.value), isouter=True)
        .where(Trigger.deleted_at.is_(None))
    )


def get_view(conn: Connection, tenant_id: UUID, trigger_id: UUID) -> TriggerView:
    """Returns one trigger. Raises NotFound, also for another tenant's trigger."""
    row = row_as(
        TriggerView, conn.execute(view_query().where(Trigger.tenant_id == tenant_id, Trigger.id == trigger_id))
    )
    if row is None:
        raise NotFound(f"There is no trigger {trigger_id}.")
    return row


def find_system_view(conn: Connection, tenant_id: UUID, agent_id: UUID, name: str) -> TriggerView | None:
    """Returns the system trigger of that name of a tenant's agent."""
    return row_as(
        TriggerView,
        conn.execute(
            view_query().where(
                Trigger.tenant_id == tenant_id,
                Trigger.agent_id == agent_id,
                Trigger.name == name,
                Trigger.is_system,
            )
        ),
    )


def list_views(
    conn: Connection, tenant_id: UUID, wanted: TriggerFilter, *, limit: int, after: UUID | None = None
) -> list[TriggerView]:
    """Lists triggers, newest first, those older than id `after`.

    System triggers for calls are left out: nobody created them and they have no settings.
    """
    query = view_query().where(Trigger.tenant_id == tenant_id, Trigger.type.not_in(UNLISTED))
    query = only(query, wanted)
    return _newest(conn, query, limit, after)


def _newest(conn: Connection, query: Select[Any], limit: int, after: UUID | None) -> list[TriggerView]:
    """Returns up to `limit` rows of a `view_query`, newest first, older than `after`."""
    if after is not None:
        query = query.where(Trigger.id < after)
    return rows_as(TriggerView, conn.execute(query.order_by(Trigger.id.desc()).limit(limit)))


@dataclass(frozen=True, slots=True)
class Focus:
    """A group of an agent's triggers with the same focus_ref, and how many of them are still active."""

    focus_ref: str
    triggers: int
    enabled: int


def list_focus(conn: Connection, agent_id: UUID, limit: int) -> list[Focus]:
    """Lists up to `limit` of an agent's focus_refs alphabetically."""
    rows = conn.execute(
        select(Trigger.focus_ref, func.count(), func.count().filter(Trigger.is_enabled))
        .where(Trigger.agent_id == agent_id, Trigger.focus_ref.is_not(None), Trigger.deleted_at.is_(None))
        .group_by(Trigger.focus_ref)
        .order_by(Trigger.focus_ref)
        .limit(limit)
    )
    return [Focus(str(row[0]), row[1], row[2]) for row in rows]


def find_own(conn: Connection, agent_id: UUID, reference: str) -> TriggerView:
    """Returns the agent's trigger with this id or name.

    Raises NotFound, also for system triggers, with suggestions.
    """
    query = view_query().where(Trigger.agent_id == agent_id, Trigger.is_system.is_(False))
    key = Trigger.name == reference if _as_id(reference) is None else Trigger.id == _as_id(reference)
    row = row_as(TriggerView, conn.execute(query.where(key)))
    if row is not None:
        return row
    names = conn.execute(query.with_only_columns(Trigger.name).order_by(Trigger.id.desc()).limit(10)).scalars()
    known = ", ".join(repr(name) for name in names) or "none"
    raise NotFound(f"You have no trigger {reference!r}. Yours, newest first: {known}.")


def list_awaiting(
    conn: Connection, tenant_id: UUID, wanted: TriggerFilter, *, limit: int, after: UUID | None
) -> list[TriggerView]:
    """Lists up to `limit` of a tenant's triggers that await approval, newest first, older than `after`."""
    query = only(view_query().where(Trigger.tenant_id == tenant_id, AWAITS_APPROVAL), wanted)
    return _newest(conn, query, limit, after)


@dataclass(frozen=True, slots=True)
class AwaitedAnswer:
    """An agent that waits for an answer, and the task. `id` is the delegation's."""

    id: UUID
    agent_id: UUID
    agent_name: str
    task: str


WAITS = text(f"""
    SELECT t.id, t.agent_id, a.name AS agent_name, t.config->>'task' AS task
    FROM triggers t JOIN agents a ON a.id = t.agent_id
    WHERE t.tenant_id = :tenant_id AND t.type = '{TriggerKind.A2A_WAIT.value}' AND t.is_enabled
        AND t.deleted_at IS NULL
        AND t.config->>'from_agent' = CAST(:agent_id AS text) AND t.expires_at > clock_timestamp()
    ORDER BY t.id
""")  # noqa: S608  # our own constant


def open_waits(conn: Connection, tenant_id: UUID, agent_id: UUID) -> list[AwaitedAnswer]:
    """Lists this agent's pending waits for answers, oldest first."""
    return rows_as(AwaitedAnswer, conn.execute(WAITS, {"tenant_id": tenant_id, "agent_id": str(agent_id)}))


def _as_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None


def list_history(
    conn: Connection, trigger: TriggerView, *, limit: int, after: UUID | None = None
) -> Sequence[HistoryRow]:
    """Lists up to `limit` entries of a trigger's history, newest first, older than `after`: events and firings,
    filtered deliveries, and budget holds.
    """
    mine = AuditFilter(trigger_id=trigger.id)
    of_tenant = AuditEvent.tenant_id == trigger.tenant_id
    held = events_of(of_tenant, AuditFilter(span=Span(trigger.created_at))).where(
        AuditEvent.action.in_((AGENT_HELD, TENANT_HELD)),
        or_(AuditEvent.action == TENANT_HELD, AuditEvent.agent_id == trigger.agent_id),
    )
    sides = [
        newest(events_of(of_tenant, mine), AuditEvent.id, limit, after),
        newest(fired_by(trigger.tenant_id, mine), Firing.id, limit, after),
        newest(held, AuditEvent.id, limit, after),
        newest(_filtered(trigger), WebhookDelivery.id, limit, after),
    ]
    every = union_all(*sides).subquery()
    return rows_as(HistoryRow, conn.execute(select(every).order_by(every.c.id.desc()).limit(limit)))


def _filtered(trigger: TriggerView) -> Select[Any]:
    detail = func.jsonb_build_object("reason", WebhookDelivery.reason, "delivery_id", WebhookDelivery.id)
    verdict = WebhookDelivery.verdict  # written out so that the partial index is used
    return select(
        WebhookDelivery.id,
        WebhookDelivery.received_at.label("at"),
        literal(SYSTEM, Text).label("actor"),
        literal("trigger.filtered", Text).label("action"),
        literal("trigger", Text).label("subject_type"),
        WebhookDelivery.trigger_id.label("subject_id"),
        literal(trigger.agent_id).label("agent_id"),
        detail.label("detail"),
    ).where(WebhookDelivery.trigger_id == trigger.id, verdict == literal(FILTERED, literal_execute=True))
