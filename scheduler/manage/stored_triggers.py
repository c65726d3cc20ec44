"""Triggers and their agents as their life cycle reads them from the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.manage.trigger_spec import TriggerSpec


@dataclass(frozen=True, kw_only=True)
class AgentLimits:
    """An agent, and what limits its triggers."""

    agent_id: UUID
    owner_id: UUID
    """Its tenant."""
    agent_zone: str
    max_triggers: int
    approve_triggers: bool
    heartbeat_floor: int
    """Minutes."""
    poll_floor: int
    """Minutes."""
    max_webhook_body_bytes: int
    now: datetime
    """The database's clock when it was read."""


@dataclass(frozen=True, kw_only=True)
class StoredTrigger(TriggerSpec):
    """A trigger: what its maker set and what became of it, when its native job runs next, and the zone of its agent."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    config: dict[str, Any]
    zone: str
    anchor_at: datetime
    listens_since: datetime | None
    is_enabled: bool
    paused_by: str | None
    paused_note: str | None
    fire_count: int
    last_fired_at: datetime | None
    secret: bytes | None
    is_system: bool
    created_by: str
    root_id: UUID | None
    depth: int
    approval: str | None
    updated_at: datetime
    next_run_time: datetime | None
    agent_zone: str
    now: datetime
    """The database's clock when it was read."""


@dataclass(frozen=True, kw_only=True)
class HeldTrigger(StoredTrigger, AgentLimits):
    """A trigger with what limits its agent's triggers."""

    job_kind: str | None
    """Null for a trigger that has no native job."""
