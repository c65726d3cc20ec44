"""Locks triggers for recording firings, and reads their agents' window settings."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, case, func, select

from scheduler.storage.rows import rows_as
from scheduler.storage.tables import Agent, Job, Trigger
from scheduler.storage.tenant_tables import AgentPace


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
