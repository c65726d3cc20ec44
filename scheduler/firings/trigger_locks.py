"""Triggers as the recording of firings needs them: locked, with their agent's window settings."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, case, func, select

from scheduler.storage.agent_tables import AgentPace
from scheduler.storage.rows import rows_as
from scheduler.storage.tables import Agent, Job, Trigger


class LockedTrigger(NamedTuple):
    """A trigger whose row this transaction holds, and how its agent's window opens. A tuple: a pass makes thousands."""

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
    """Whether its agent made it, so that it keeps the pace of all of those."""
    paced_at: datetime | None
    """When the agent was, or is to be, woken by one of those."""
    read_at: datetime
    """The database's clock when the row was locked: the time at which whatever fires now fires."""


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
    """As `lock_triggers`, with their jobs locked before them, for who may have to stop these."""
    conn.execute(
        select(Job.kind).where(Job.trigger_id.in_(ids)).order_by(Job.trigger_id, Job.kind).with_for_update()
    )
    return lock_triggers(conn, ids)


def lock_triggers(conn: Connection, ids: Collection[UUID]) -> dict[UUID, LockedTrigger]:
    """Lock the triggers with these ids, in the order of their ids; deleted ones are left out."""
    result = conn.execute(
        select(*LOCKED_COLUMNS)
        .join(Agent, Agent.id == Trigger.agent_id)
        .where(Trigger.id.in_(ids), Trigger.deleted_at.is_(None))
        .order_by(Trigger.id)
        .with_for_update(of=Trigger)
    )
    return {each.id: each for each in rows_as(LockedTrigger, result)}
