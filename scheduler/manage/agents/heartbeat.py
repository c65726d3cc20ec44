"""Manages an agent's heartbeat: a system trigger that wakes it periodically to look around."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from scheduler.domain.context.translations import WORDS
from scheduler.manage.triggers.rows import HEARTBEAT
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.agents import get_agent
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.storage.tenants import get_tenant
from scheduler.triggers.interval import IntervalConfig

NAME = HEARTBEAT
DEFAULT_MINUTES = 240.0
DEFAULT_INSTRUCTION = WORDS["en"].heartbeat
"""The agent reads it in its own language."""


@dataclass(frozen=True, slots=True)
class HeartbeatSettings:
    """An agent's heartbeat: how often, within which hours in its zone (`HH:MM-HH:MM`), and the instructions for
    it.
    """

    minutes: float = DEFAULT_MINUTES
    only_between: str | None = None
    instruction: str = DEFAULT_INSTRUCTION
    enabled: bool = True

    def within(self, floor: float) -> HeartbeatSettings:
        """Returns the same settings, but no faster than the tenant's minimum minutes between two heartbeats."""
        return replace(self, minutes=float(max(self.minutes, floor)))


FASTER = text("""
    SELECT id FROM triggers
    WHERE tenant_id = :tenant_id AND is_system AND name = 'heartbeat' AND deleted_at IS NULL
        AND coalesce((config->>'minutes')::float8, (config->>'seconds')::float8 / 60) < :floor
    ORDER BY id
""")


def widen_heartbeats(db: Database, triggers: Triggers, tenant_id: UUID, floor: int, *, actor: str) -> None:
    """Slows down the heartbeats of a tenant's agents that are faster than its new minimum."""
    with db.begin() as conn:
        found = conn.scalars(FASTER, {"tenant_id": tenant_id, "floor": floor}).all()
    for trigger_id in found:
        triggers.update(tenant_id, trigger_id, {"config": {"minutes": float(floor), "seconds": None}}, actor=actor)


def set_heartbeat(
    db: Database, triggers: Triggers, tenant_id: UUID, agent_id: UUID, settings: HeartbeatSettings, *, actor: str
) -> TriggerView:
    """Creates or replaces an agent's heartbeat; identical settings change nothing.

    A heartbeat faster than the tenant's minimum is slowed down to it. Raises NotFound, InvalidField.
    """
    with db.begin() as conn:
        get_agent(conn, tenant_id, agent_id)
        settings = settings.within(get_tenant(conn, tenant_id).min_heartbeat_interval)
    found = triggers.find_system(tenant_id, agent_id, NAME)
    config: dict[str, Any] = {"minutes": settings.minutes}
    if settings.only_between is not None:
        config["only_between"] = settings.only_between
    if found is None:
        spec = TriggerSpec(NAME, IntervalConfig.kind, config, reason=settings.instruction)
        found = triggers.create(tenant_id, agent_id, spec, actor=actor, is_system=True).trigger
    patch: dict[str, Any] = {}
    if found.config != config:
        patch["config"] = dict.fromkeys(found.config) | config
    if found.reason != settings.instruction:
        patch["reason"] = settings.instruction
    if found.is_enabled != settings.enabled:
        patch["is_enabled"] = settings.enabled
    return triggers.update(tenant_id, found.id, patch, actor=actor) if patch else found
