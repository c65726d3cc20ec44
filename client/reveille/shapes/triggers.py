"""Shapes of triggers.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Any, Literal, Required, TypedDict


class TriggerOut(TypedDict):
    id: str
    tenant_id: str
    agent_id: str
    name: str
    type: str
    config: dict[str, Any]
    reason: str
    focus_ref: str | None
    timezone: str
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: str | None
    misfire_policy: str
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: str
    is_enabled: bool
    paused_note: str | None
    paused_by: str | None
    next_fire_at: str | None
    fire_count: int
    last_fired_at: str | None
    is_system: bool
    managed_by_agent: bool
    created_by: str
    approval: str | None
    created_at: str
    updated_at: str
    hook_url: str | None


class TriggerPage(TypedDict):
    items: list[TriggerOut]
    next: str | None


class TriggerIn(TypedDict, total=False):
    reason: str
    focus_ref: str | None
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: str | None
    misfire_policy: Literal["latest", "all", "skip"]
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: Literal["firing", "success"]
    managed_by_agent: bool
    name: Required[str]
    type: Required[str]
    config: dict[str, Any]


class TriggerRow(TypedDict):
    reason: str
    focus_ref: str | None
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: str | None
    misfire_policy: Literal["latest", "all", "skip"]
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: Literal["firing", "success"]
    managed_by_agent: bool
    name: str
    type: str
    config: dict[str, Any]
    agent_id: str


class TriggersIn(TypedDict, total=False):
    items: Required[list[TriggerRow]]


class TriggersMade(TypedDict):
    items: list[TriggerOut]


class AckCounts(TypedDict):
    handled: int
    deferred: int
    ignored: int


class TriggerWhole(TypedDict):
    id: str
    tenant_id: str
    agent_id: str
    name: str
    type: str
    config: dict[str, Any]
    reason: str
    focus_ref: str | None
    timezone: str
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: str | None
    misfire_policy: str
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: str
    is_enabled: bool
    paused_note: str | None
    paused_by: str | None
    next_fire_at: str | None
    fire_count: int
    last_fired_at: str | None
    is_system: bool
    managed_by_agent: bool
    created_by: str
    approval: str | None
    created_at: str
    updated_at: str
    hook_url: str | None
    acks: AckCounts
    header_names: list[str]


class TriggerPatch(TypedDict, total=False):
    reason: str
    focus_ref: str | None
    urgent: bool
    max_fires: int | None
    cooldown_seconds: float
    expires_at: str | None
    misfire_policy: Literal["latest", "all", "skip"]
    grace_seconds: float
    notification_summary: str | None
    expect_within: float | None
    expect: Literal["firing", "success"]
    managed_by_agent: bool
    name: str
    type: str
    config: dict[str, Any]
    is_enabled: bool


class FiredOut(TypedDict):
    firing_id: str
    invocation_id: str
    duplicate: bool


class PreviewNote(TypedDict):
    at: str
    kind: str
    text: str


class PreviewOut(TypedDict):
    fire_times: list[str]
    notes: list[PreviewNote]


class PreviewIn(TypedDict, total=False):
    type: Required[str]
    config: dict[str, Any]
    timezone: str | None
    after: str | None
    count: int


class TriggerTypeOut(TypedDict):
    type: str
    label: str
    summary: str
    docs: str
    is_offered: bool
    config_schema: dict[str, Any]


class TriggerTypesOut(TypedDict):
    items: list[TriggerTypeOut]


class ApproveIn(TypedDict, total=False):
    updated_at: str | None


class TrialIn(TypedDict, total=False):
    type: str
    config: Required[dict[str, Any]]


class TrialOut(TypedDict):
    status: Literal["found", "nothing_there", "failed"]
    value: Any
    value_cut: bool
    as_sent: str | None
    would_fire: bool
    error: str | None


class PollOut(TypedDict):
    checked_at: str | None
    failures: int
    first_failure_at: str | None
    note: str | None
    is_seen: bool
    value: Any
    value_cut: bool
    as_sent: str | None
