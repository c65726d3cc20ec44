"""Reads the filtered and searchable list of triggers, with their agents' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, and_, or_, select

from scheduler.domain.model import JobKind
from scheduler.storage.read_models.spans import EVER, Span
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import Agent, Job, Trigger
from scheduler.triggers.registry import UNLISTED

COLUMNS: tuple[Any, ...] = (
    Trigger.id,
    Trigger.agent_id,
    Agent.name.label("agent_name"),
    Trigger.name,
    Trigger.type,
    Trigger.focus_ref,
    Trigger.is_enabled,
    Trigger.paused_note,
    Trigger.approval,
    Trigger.is_system,
    Job.next_run_time.label("next_fire_at"),
    Trigger.fire_count,
    Trigger.last_fired_at,
)


@dataclass(frozen=True, slots=True)
class TriggerFilter:
    """Filters a tenant's triggers. `text` matches part of the name, reason, focus or note, case-insensitively."""

    agent_id: UUID | None = None
    type: str | None = None
    is_enabled: bool | None = None
    text: str | None = None
    span: Span = EVER
    """When it last fired."""
    ids: frozenset[UUID] | None = None
    focus_ref: str | None = None


@dataclass(frozen=True, slots=True)
class ListedTrigger:
    """A trigger in a list, with its agent's name."""

    id: UUID
    agent_id: UUID
    agent_name: str
    name: str
    type: str
    focus_ref: str | None
    is_enabled: bool
    paused_note: str | None
    approval: str | None
    is_system: bool
    next_fire_at: datetime | None
    fire_count: int
    last_fired_at: datetime | None


EVERY_TRIGGER = TriggerFilter()


def only(query: Select[Any], wanted: TriggerFilter) -> Select[Any]:
    """Applies the filter to a query of triggers."""
    equal = (
        (Trigger.agent_id, wanted.agent_id),
        (Trigger.type, wanted.type),
        (Trigger.is_enabled, wanted.is_enabled),
        (Trigger.focus_ref, wanted.focus_ref),
    )
    query = query.where(*[column == value for column, value in equal if value is not None])
    if wanted.ids is not None:
        query = query.where(Trigger.id.in_(wanted.ids))
    if wanted.text is not None:
        texts = (Trigger.name, Trigger.reason, Trigger.focus_ref, Trigger.paused_note)
        query = query.where(or_(*[each.icontains(wanted.text, autoescape=True) for each in texts]))
    if wanted.span.since is not None:
        query = query.where(Trigger.last_fired_at >= wanted.span.since)
    if wanted.span.until is not None:
        query = query.where(Trigger.last_fired_at <= wanted.span.until)
    return query


def find_triggers(
    conn: Connection, tenant_id: UUID, wanted: TriggerFilter, *, limit: int, after: UUID | None = None
) -> Sequence[ListedTrigger]:
    """Lists up to `limit` of a tenant's triggers, newest first, older than `after`, without system triggers."""
    query = (
        select(*COLUMNS)
        .join(Agent, Agent.id == Trigger.agent_id)
        .join(Job, and_(Job.trigger_id == Trigger.id, Job.kind == JobKind.FIRE.value), isouter=True)
        .where(Trigger.tenant_id == tenant_id, Trigger.deleted_at.is_(None), Trigger.type.not_in(UNLISTED))
    )
    query = only(query, wanted)
    if after is not None:
        query = query.where(Trigger.id < after)
    return rows_as(ListedTrigger, conn.execute(query.order_by(Trigger.id.desc()).limit(limit)))
