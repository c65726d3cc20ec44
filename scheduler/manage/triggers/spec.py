"""Checks the requested fields of a trigger, and holds the row types of triggers and their agents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from typing import Any, get_type_hints
from uuid import UUID

from scheduler.domain.errors import InvalidField
from scheduler.domain.model import MisfirePolicy
from scheduler.domain.notification import SUMMARY_LENGTH
from scheduler.domain.text import check_name, check_text

MAX_REASON = 4000
MAX_FIRES = 2**31 - 1
LONGEST_SECONDS = 366 * 24 * 3600.0
MOST_OWN_FIRES = 100
"""The most fires of a trigger created by an agent, which is also the default."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a field is set. The API's description and form, the command's option and the agents' tools are made of it."""

    help: str
    """What follows `; null` is for JSON alone."""
    flag: str | None = None
    """The command's option, if not named as the field."""
    label: str | None = None
    """What the command calls it when it shows it, if not by the field's name."""
    choices: tuple[str, ...] = ()
    for_agents: str | None = None
    """What the tools say of it; None: agents cannot set it."""
    required: bool = False
    """Whether agents must give it."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Of what agents may give: `ge`, `min_length` and the like."""


def settable(help: str, **said: Any) -> Mapping[str, Setting]:  # noqa: A002  # as everywhere else
    """Returns the metadata of a field that callers can set."""
    return {"setting": Setting(help, **said)}


@dataclass(frozen=True)
class TriggerSpec:
    """The settable fields of a trigger."""

    name: str
    type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    reason: str = field(
        default="",
        metadata=settable(
            "Why the agent is woken; the agent reads this.",
            for_agents="What you are to do when it wakes you.",
            required=True,
            limits={"min_length": 1, "max_length": MAX_REASON},
        ),
    )
    focus_ref: str | None = field(
        default=None,
        metadata=settable(
            "The subject it belongs to, for example tickets/4711. Triggers are grouped by focus.",
            label="focus",
            for_agents="The subject that it belongs to; null: none.",
        ),
    )
    urgent: bool = field(default=False, metadata=settable("Its firings close the agent's window at once."))
    max_fires: int | None = field(
        default=None,
        metadata=settable(
            "It is disabled after this many; null: no limit.",
            label="maximum fires",
            for_agents=f"It ends after this many fires, {MOST_OWN_FIRES} at most.",
            limits={"ge": 1},
        ),
    )
    cooldown_seconds: float = field(
        default=60.0,
        metadata=settable(
            "The minimum time between two wakes by it; no firing is lost.",
            flag="--cooldown",
            label="cooldown, seconds",
            for_agents="The minimum time between two wakes by it.",
            limits={"ge": 0},
        ),
    )
    expires_at: datetime | None = field(
        default=None,
        metadata=settable(
            "When it is disabled: RFC 3339; without an offset it is UTC.",
            label="expires",
            for_agents="It ends then.",
        ),
    )
    misfire_policy: str = field(
        default=MisfirePolicy.LATEST,
        metadata=settable(
            "What happens to scheduled times missed while nothing was running.",
            flag="--misfire",
            label="when late",
            choices=tuple(MisfirePolicy),
        ),
    )
    grace_seconds: float = field(
        default=60.0,
        metadata=settable("How late policy `skip` still fires.", flag="--grace", label="grace, seconds"),
    )
    notification_summary: str | None = field(
        default=None,
        metadata=settable(
            "The notification text when it woke the agent and the agent replied; default: its reason.",
            label="tells people",
            for_agents="The line above your reply when your user is told of it; left out: the beginning of `reason`.",
            limits={"min_length": 1, "max_length": SUMMARY_LENGTH},
        ),
    )
    expect_within: float | None = field(
        default=None,
        metadata=settable(
            "How long it may do nothing before an alert opens: seconds, or a text such as 90m, 2h or 1d."
        ),
    )
    expect: str = field(
        default="firing",
        metadata=settable(
            "What is expected: that it fires, or that an invocation with its firing succeeds.",
            choices=("firing", "success"),
        ),
    )
    managed_by_agent: bool = field(
        default=False,
        metadata=settable("Whether its agent may change, pause, rotate and delete it; only people can set this."),
    )

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
class SettableField:
    """A field of all triggers that callers can set."""

    name: str
    type: Any
    default: Any
    setting: Setting


@cache
def settable_fields() -> tuple[SettableField, ...]:
    """Returns the fields of all triggers that callers can set."""
    types = get_type_hints(TriggerSpec)
    return tuple(
        SettableField(each.name, types[each.name], each.default, each.metadata["setting"])
        for each in fields(TriggerSpec)
        if "setting" in each.metadata
    )


def help_of(name: str) -> str:
    """Returns what the API says of a field."""
    return next(each.setting.help for each in settable_fields() if each.name == name)


@dataclass(frozen=True, slots=True)
class ManualFire:
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
class TriggerWithLimits(StoredTrigger, AgentLimits):
    """A trigger with its agent's limits."""

    job_kind: str | None
    """Null for a trigger without a native job."""
