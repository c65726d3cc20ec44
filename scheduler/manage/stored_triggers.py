"""Row types for triggers and their agents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.manage.trigger_spec import TriggerSpec


@dataclass(frozen=True, kw_only=True)
class AgentLimits:
    """An agent with the limits on its triggers."""

    agent_id: UUID
    owner_id: UUID
    """Its tenant's."""
    agent_zone: str
    max_triggers: int
    approve_triggers: bool
    heartbeat_floor: int
    """In minutes."""
    poll_floor: int
    """In minutes."""
    max_webhook_body_bytes: int
    now: datetime
    """The database's clock when it was read."""


@dataclass(frozen=True, kw_only=True)
class StoredTrigger(TriggerSpec):
    """A stored trigger: its settings and state, its native job's next run, and the zone of its agent."""

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
    """A trigger with its agent's limits."""

    job_kind: str | None
    """Null for a trigger without a native job."""
