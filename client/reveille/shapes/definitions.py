"""Shapes of definitions.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.agents import McpServer


class DefinitionsOut(TypedDict):
    models: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    left_out: list[str]


class AgentDefinition(TypedDict):
    role_description: str
    language: Literal["en", "zh"]
    timezone: str | None
    dedup_delay_seconds: float
    max_batch: int
    timeout_seconds: int
    max_triggers: int | None
    min_poll_interval_min: int | None
    webhook_rate_limit: int | None
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    expect_wake_within: float | None
    expires_at: str | None
    mcp_servers: list[McpServer]
    approve_triggers: bool
    public_card: bool
    name: str
    renamed_from: str | None
    runtime: dict[str, Any]
    is_paused: bool | None
    heartbeat: HeartbeatDefinition | None


class AppliedOut(TypedDict):
    changes: list[ChangeOut]
    unchanged: int
    notes: list[str]
    dry_run: bool


class ChangeOut(TypedDict):
    action: Literal["create", "update", "delete"]
    kind: str
    agent: str | None
    name: str
    fields: list[FieldChangeOut]
    note: str | None
    secret: str | None
    hook_url: str | None


class ChannelDefinition(TypedDict):
    bot_user_id: str | None
    is_enabled: bool | None
    agent: str
    name: str
    renamed_from: str | None
    kind: str
    secrets: dict[str, str | None]


class DefinitionsIn(TypedDict, total=False):
    models: list[ModelDefinition]
    agents: list[AgentDefinition]
    triggers: list[TriggerDefinition]
    targets: list[TargetDefinition]
    channels: list[ChannelDefinition]
    set: str
    dry_run: bool
    prune: bool


class FieldChangeOut(TypedDict):
    path: str
    before: Any
    after: Any
    is_secret: bool
    edited_by: str | None
    edited_at: str | None


class HeartbeatDefinition(TypedDict):
    minutes: float
    only_between: str | None
    instruction: str
    enabled: bool | None


class ModelDefinition(TypedDict):
    base_url: str | None
    key: str | None
    key_env: str | None
    is_enabled: bool
    max_output_tokens: int | None
    input_price: float
    output_price: float
    name: str
    provider: Literal["openai", "openai-compatible", "anthropic", "google"]
    model: str
    renamed_from: str | None


class TargetDefinition(TypedDict):
    name: str
    kind: str
    url: str | None
    secret: str | None
    agent: str
    renamed_from: str | None


class TriggerDefinition(TypedDict):
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
    agent: str
    renamed_from: str | None
    is_enabled: bool | None
