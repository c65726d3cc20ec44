"""Checks the requested fields of a trigger, and holds the row types of triggers and their agents."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from scheduler.domain.errors import InvalidField
from scheduler.domain.model import MisfirePolicy
from scheduler.domain.notification import SUMMARY_LENGTH
from scheduler.domain.text import is_visible

MAX_NAME = 200
MAX_REASON = 4000
MAX_FIRES = 2**31 - 1
LONGEST_SECONDS = 366 * 24 * 3600.0


@dataclass(frozen=True)
class TriggerSpec:
    """The settable fields of a trigger."""

    name: str
    type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    focus_ref: str | None = None
    urgent: bool = False
    max_fires: int | None = None
    cooldown_seconds: float = 60.0
    expires_at: datetime | None = None
    misfire_policy: str = MisfirePolicy.LATEST
    grace_seconds: float = 60.0
    notification_summary: str | None = None
    expect_within: float | None = None
    expect: str = "firing"
    managed_by_agent: bool = False

    def columns(self) -> dict[str, Any]:
        """Returns the columns that store fields unchanged."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("type", "config")
        }

    def patched(self, patch: Mapping[str, Any]) -> TriggerSpec:
        """Returns the spec with the fields of `patch`, except `config`.

        Raises InvalidField on one that cannot change.
        """
        known = {each.name: each for each in fields(self)}
        for name in patch:
            if name == "type" and patch[name] != self.type:
                raise InvalidField("type cannot be changed; create a new trigger instead.", field="type")
            if name not in known and name != "is_enabled":
                raise InvalidField(f"{name} is not a field of a trigger that can be changed.", field=name)
        return replace(self, **{name: patch[name] for name in patch if name in known and name != "config"})


@dataclass(frozen=True, slots=True)
class Fired:
    """The requested firing and the invocation that carries it."""

    firing_id: UUID
    invocation_id: UUID
    duplicate: bool = False
    """An earlier identical request made it."""


def check_spec(spec: TriggerSpec, now: datetime, before: TriggerSpec | None = None) -> None:
    """Raises InvalidField for an invalid spec; its config is checked by its kind.

    `before`: the stored spec, whose names stay valid, as older versions accepted others.
    """
    for each in ("name", "focus_ref"):
        value = getattr(spec, each)
        if value is not None and (before is None or value != getattr(before, each)):
            check_name(each, value)
    check_text("reason", spec.reason, MAX_REASON)
    if spec.notification_summary is not None:
        check_text("notification_summary", spec.notification_summary, SUMMARY_LENGTH, required=True)
    if spec.max_fires is not None and not 0 <= spec.max_fires <= MAX_FIRES:
        raise InvalidField(
            f"max_fires {spec.max_fires} is not in 0..{MAX_FIRES}; null means no limit.", field="max_fires"
        )
    for name in ("cooldown_seconds", "grace_seconds", "expect_within"):
        value = getattr(spec, name)
        if value is not None and not (math.isfinite(value) and 0 <= value <= LONGEST_SECONDS):
            raise InvalidField(f"{name} {value} is not in 0..{LONGEST_SECONDS:.0f} seconds.", field=name)
    if spec.misfire_policy not in set(MisfirePolicy):
        known = ", ".join(MisfirePolicy)
        raise InvalidField(
            f"misfire_policy {spec.misfire_policy!r} is not one of {known}.", field="misfire_policy"
        )
    if spec.expires_at is not None and spec.expires_at <= now:
        raise InvalidField(f"expires_at {spec.expires_at.isoformat()} has passed.", field="expires_at")


def check_name(name: str, value: str) -> None:
    """Refuses an invalid name: names that look the same must be the same."""
    check_text(name, value, MAX_NAME, required=True)
    if not is_visible(value) or value != value.strip():
        raise InvalidField(f"{name} must be printable, without spaces around it.", field=name)


def check_text(name: str, value: str, longest: int, *, required: bool = False) -> None:
    """Refuses text that is missing, too long, or contains characters that cannot be stored or would garble a line."""
    if required and not value.strip():
        raise InvalidField(f"{name} is empty.", field=name)
    if len(value) > longest:
        raise InvalidField(f"{name} is {len(value)} characters long; {longest} are allowed.", field=name)
    for char in value:
        if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t":
            raise InvalidField(f"{name} holds the control character U+{ord(char):04X}.", field=name)


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
