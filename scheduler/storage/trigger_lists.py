"""Reads the filtered and searchable list of triggers, with their agents' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, select

from scheduler.domain.model import JobKind
from scheduler.storage.spans import EVER, Span
from scheduler.storage.tables import Agent, Job, Trigger
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


def find_triggers(
    conn: Connection, tenant_id: UUID, wanted: TriggerFilter, *, limit: int, after: UUID | None = None
) -> Sequence[Row[Any]]:
    """Lists up to `limit` of a tenant's triggers, newest first, older than `after`, without system triggers."""
    query = (
        select(*COLUMNS)
        .join(Agent, Agent.id == Trigger.agent_id)
        .join(Job, and_(Job.trigger_id == Trigger.id, Job.kind == JobKind.FIRE.value), isouter=True)
        .where(Trigger.tenant_id == tenant_id, Trigger.deleted_at.is_(None), Trigger.type.not_in(UNLISTED))
    )
    if wanted.agent_id is not None:
        query = query.where(Trigger.agent_id == wanted.agent_id)
    if wanted.type is not None:
        query = query.where(Trigger.type == wanted.type)
    if wanted.is_enabled is not None:
        query = query.where(Trigger.is_enabled.is_(wanted.is_enabled))
    if wanted.ids is not None:
        query = query.where(Trigger.id.in_(wanted.ids))
    if wanted.text is not None:
        query = query.where(
            Trigger.name.icontains(wanted.text, autoescape=True)
            | Trigger.reason.icontains(wanted.text, autoescape=True)
            | Trigger.focus_ref.icontains(wanted.text, autoescape=True)
            | Trigger.paused_note.icontains(wanted.text, autoescape=True)
        )
    if wanted.span.since is not None:
        query = query.where(Trigger.last_fired_at >= wanted.span.since)
    if wanted.span.until is not None:
        query = query.where(Trigger.last_fired_at <= wanted.span.until)
    if after is not None:
        query = query.where(Trigger.id < after)
    return conn.execute(query.order_by(Trigger.id.desc()).limit(limit)).all()
