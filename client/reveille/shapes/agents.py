"""Shapes of agents.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.runtimes import (
        A2aRuntime,
        A2aRuntimeOut,
        CommandRuntime,
        CommandRuntimeOut,
        HttpRuntime,
        HttpRuntimeOut,
        LlmRuntime,
        LlmRuntimeOut,
    )


class AgentOut(TypedDict):
    id: str
    tenant_id: str
    name: str
    runtime: HttpRuntimeOut | LlmRuntimeOut | CommandRuntimeOut | A2aRuntimeOut
    role_description: str
    language: str
    timezone: str | None
    dedup_delay_seconds: float
    max_batch: int
    timeout_seconds: int
    max_triggers: int
    min_poll_interval_min: int
    webhook_rate_limit: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    is_paused: bool
    paused_note: str | None
    expect_wake_within: float | None
    expires_at: str | None
    mcp_servers: list[McpServerOut]
    header_names: dict[str, list[str]]
    approve_triggers: bool
    public_card: bool
    created_at: str
    updated_at: str


class AgentPage(TypedDict):
    items: list[AgentOut]
    next: str | None


class Follow(TypedDict):
    location: bool | str | None
    poll_path: str | None
    done_path: str | None
    done_values: list[str | bool | int | float] | None
    failed_values: list[str | bool | int | float] | None
    result_path: str | None
    cancel_path: str | None
    cancel_method: Literal["POST", "DELETE", "PUT", "PATCH"] | None
    poll_seconds: float | None


class McpServerOut(TypedDict):
    name: str
    url: str | None
    command: str | None


class AgentIn(TypedDict, total=False):
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
    name: Required[str]
    runtime: Required[HttpRuntime | LlmRuntime | CommandRuntime | A2aRuntime]


class McpServer(TypedDict, total=False):
    name: Required[str]
    url: str | None
    command: str | None
    headers: dict[str, str | None] | None


class AgentsIn(TypedDict, total=False):
    items: Required[list[AgentIn]]


class AgentsMade(TypedDict):
    items: list[AgentOut]


class PresetOut(TypedDict):
    name: str
    label: str
    summary: str
    docs: str
    url: str
    needs_token: bool
    parameters: list[PresetParameterOut]


class PresetParameterOut(TypedDict):
    name: str
    description: str
    default: str | None


class AgentWhole(TypedDict):
    id: str
    tenant_id: str
    name: str
    runtime: HttpRuntimeOut | LlmRuntimeOut | CommandRuntimeOut | A2aRuntimeOut
    role_description: str
    language: str
    timezone: str | None
    dedup_delay_seconds: float
    max_batch: int
    timeout_seconds: int
    max_triggers: int
    min_poll_interval_min: int
    webhook_rate_limit: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    is_paused: bool
    paused_note: str | None
    expect_wake_within: float | None
    expires_at: str | None
    mcp_servers: list[McpServerOut]
    header_names: dict[str, list[str]]
    approve_triggers: bool
    public_card: bool
    created_at: str
    updated_at: str
    budget: BudgetOut


class BudgetOut(TypedDict):
    tokens_per_day: SpendingOut
    invocations_per_hour: SpendingOut
    tenant_tokens_per_day: SpendingOut | None
    tenant_invocations_per_hour: SpendingOut | None
    held_until: str | None
    note: str | None


class SpendingOut(TypedDict):
    used: int
    limit: int | None


class AgentPatch(TypedDict, total=False):
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
    runtime: dict[str, Any]


class NoteIn(TypedDict, total=False):
    note: str | None


class WakeIn(TypedDict, total=False):
    message: Required[str]
    from_agent_id: str | None
    skip_dedup: bool


class HeartbeatIn(TypedDict, total=False):
    minutes: float
    only_between: str | None
    instruction: str
    enabled: bool


class FocusOut(TypedDict):
    focus_ref: str
    triggers: int
    enabled: int


class FocusPage(TypedDict):
    items: list[FocusOut]
    next: str | None


class NotesOut(TypedDict):
    text: str
    updated_at: str | None
    updated_by: str | None
    most: int


class NotesIn(TypedDict, total=False):
    text: Required[str]


class DayOut(TypedDict):
    day: str
    tokens_in: int
    tokens_out: int
    cost: float
    invocations: int


class TriggerUsageOut(TypedDict):
    trigger_id: str
    trigger_name: str
    firings: int
    tokens_in: float
    tokens_out: float
    cost: float


class UsageOut(TypedDict):
    days: list[DayOut]
    triggers: list[TriggerUsageOut]
