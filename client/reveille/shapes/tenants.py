"""Shapes of tenants.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Required, TypedDict


class TenantOut(TypedDict):
    id: str
    name: str
    timezone: str
    default_max_triggers: int
    min_poll_interval_min: int
    min_heartbeat_interval: int
    max_webhook_rate: int
    max_webhook_body_bytes: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    max_concurrent_runs: int | None
    alert_quiet_hours: str | None
    cost_budget_per_month: float | None
    alert_remind_minutes: int | None
    keep_firings_days: int | None
    keep_invocations_days: int | None
    keep_deliveries_days: int | None
    keep_messages_days: int | None
    keep_notifications_days: int | None
    keep_audit_days: int | None
    is_paused: bool
    paused_note: str | None
    paused_by: str | None
    paused_at: str | None
    created_at: str


class TenantPage(TypedDict):
    items: list[TenantOut]
    next: str | None


class TenantIn(TypedDict, total=False):
    timezone: str
    default_max_triggers: int
    min_poll_interval_min: int
    min_heartbeat_interval: int
    max_webhook_rate: int
    max_webhook_body_bytes: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    max_concurrent_runs: int | None
    cost_budget_per_month: float | None
    alert_quiet_hours: str | None
    alert_remind_minutes: int | None
    keep_firings_days: int | None
    keep_invocations_days: int | None
    keep_deliveries_days: int | None
    keep_messages_days: int | None
    keep_notifications_days: int | None
    keep_audit_days: int | None
    name: Required[str]


class TenantPatch(TypedDict, total=False):
    timezone: str
    default_max_triggers: int
    min_poll_interval_min: int
    min_heartbeat_interval: int
    max_webhook_rate: int
    max_webhook_body_bytes: int
    max_tokens_per_day: int | None
    max_invocations_per_hour: int | None
    max_concurrent_runs: int | None
    cost_budget_per_month: float | None
    alert_quiet_hours: str | None
    alert_remind_minutes: int | None
    keep_firings_days: int | None
    keep_invocations_days: int | None
    keep_deliveries_days: int | None
    keep_messages_days: int | None
    keep_notifications_days: int | None
    keep_audit_days: int | None
    name: str


class PauseOut(TypedDict):
    is_paused: bool
    paused_note: str | None
    paused_by: str | None
    paused_at: str | None
