"""The heartbeat of an agent: a system trigger that wakes it now and then, so that it can look around by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from scheduler.manage.trigger_spec import TriggerSpec
from scheduler.manage.triggers import Triggers
from scheduler.storage.trigger_views import TriggerView
from scheduler.triggers.interval import IntervalConfig

NAME = "heartbeat"
DEFAULT_MINUTES = 240.0
DEFAULT_INSTRUCTION = (
    "This is your heartbeat: nothing happened, some time has passed. Look through your open tasks and notes, do what "
    "is due, and say nothing when nothing is."
)


@dataclass(frozen=True, slots=True)
class HeartbeatSettings:
    """How often an agent's heart beats, within which hours of its zone (`HH:MM-HH:MM`), and what it is told."""

    minutes: float = DEFAULT_MINUTES
    only_between: str | None = None
    instruction: str = DEFAULT_INSTRUCTION
    enabled: bool = True


def set_heartbeat(
    triggers: Triggers, tenant_id: UUID, agent_id: UUID, settings: HeartbeatSettings, *, actor: str
) -> TriggerView:
    """Give an agent its heartbeat, or change it as a whole; the same settings again change nothing.

    Raises NotFound, InvalidField.
    """
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
