"""Writes the audit trail: who did what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.ids import new_id
from scheduler.storage.live import Change, notify_watchers
from scheduler.storage.rows import insert_rows
from scheduler.storage.tables.log import AuditEvent

SYSTEM = "system"
"""The actor of Reveille's own actions."""
WATCHED = ("trigger.", "agent.")
"""Subjects that pages show live and that no other notification covers."""


@dataclass(frozen=True, slots=True)
class Event:
    """One audit event. `action` is `SUBJECT.VERB`, where the subject is also the type of `subject_id`."""

    action: str
    tenant_id: UUID | None
    subject_id: UUID | None = None
    agent_id: UUID | None = None
    actor: str = SYSTEM
    detail: dict[str, Any] = field(default_factory=dict)


def record_events(conn: Connection, events: Sequence[Event]) -> None:
    """Writes `events` in the caller's transaction."""
    if not events:
        return
    rows = [
        {
            "id": new_id(),
            "tenant_id": event.tenant_id,
            "actor": event.actor,
            "action": event.action,
            "subject_type": event.action.partition(".")[0],
            "subject_id": event.subject_id,
            "agent_id": event.agent_id,
            "detail": event.detail,
        }
        for event in events
    ]
    insert_rows(conn, AuditEvent.__tablename__, rows)
    notify_watchers(conn, [_change(event) for event in events if event.action.startswith(WATCHED)])


def _change(event: Event) -> Change:
    return Change(event.tenant_id, event.action.partition(".")[0], event.subject_id)


def record_event(
    conn: Connection,
    *,
    action: str,
    tenant_id: UUID | None,
    subject_id: UUID | None = None,
    agent_id: UUID | None = None,
    actor: str = SYSTEM,
    **detail: object,
) -> None:
    """Writes one event in the caller's transaction."""
    record_events(conn, [Event(action, tenant_id, subject_id, agent_id, actor, dict(detail))])
