"""Reads triggers as the API, the CLI and the pages show them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from scheduler.domain.errors import NotFound
from scheduler.domain.model import JobKind
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables import Job, Trigger
from scheduler.storage.trigger_lists import TriggerFilter, only
from scheduler.triggers.registry import UNLISTED


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
