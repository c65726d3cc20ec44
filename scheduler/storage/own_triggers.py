"""Reads an agent's triggers for the agent itself and for those who approve them."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.errors import NotFound
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables import AWAITS_APPROVAL, Trigger
from scheduler.storage.trigger_lists import TriggerFilter, only
from scheduler.storage.trigger_views import TriggerView, view_query


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
    if after is not None:
        query = query.where(Trigger.id < after)
    return rows_as(TriggerView, conn.execute(query.order_by(Trigger.id.desc()).limit(limit)))


@dataclass(frozen=True, slots=True)
class Wait:
    """An agent that waits for an answer, and the task. `id` is the delegation's."""

    id: UUID
    agent_id: UUID
    agent_name: str
    task: str


WAITS = text("""
    SELECT t.id, t.agent_id, a.name AS agent_name, t.config->>'task' AS task
    FROM triggers t JOIN agents a ON a.id = t.agent_id
    WHERE t.tenant_id = :tenant_id AND t.type = 'a2a_wait' AND t.is_enabled AND t.deleted_at IS NULL
        AND t.config->>'from_agent' = CAST(:agent_id AS text) AND t.expires_at > clock_timestamp()
    ORDER BY t.id
""")


def open_waits(conn: Connection, tenant_id: UUID, agent_id: UUID) -> list[Wait]:
    """Lists this agent's pending waits for answers, oldest first."""
    return rows_as(Wait, conn.execute(WAITS, {"tenant_id": tenant_id, "agent_id": str(agent_id)}))


def _as_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None
