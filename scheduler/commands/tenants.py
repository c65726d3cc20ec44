"""`reveille tenants`: manages tenants, their budgets and pauses; requires an operator's key."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.commands import refs
from scheduler.commands.budgets import LIMIT_FIELDS, InvocationsPerHour, TokensPerDay, limits
from scheduler.commands.console import Console, client_command
from scheduler.commands.edits import Resource, deleted, edited, listed, shown
from scheduler.commands.lookup import tenant_id
from scheduler.commands.output import Columns

group = typer.Typer(help="Manage tenants; requires an operator's key.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("ZONE", "timezone"),
    ("TOKENS PER DAY", "max_tokens_per_day"),
    ("INVOCATIONS PER HOUR", "max_invocations_per_hour"),
    ("PAUSED", "is_paused"),
)
BUDGET: Columns = (
    ("id", "id"),
    ("name", "name"),
    ("zone", "timezone"),
    ("maximum tokens per day", "max_tokens_per_day"),
    ("maximum invocations per hour", "max_invocations_per_hour"),
)
FIELDS: Columns = (
    *BUDGET,
    ("maximum concurrent runs", "max_concurrent_runs"),
    ("maximum triggers of an agent", "default_max_triggers"),
    ("minimum minutes between polls", "min_poll_interval_min"),
    ("minimum minutes between heartbeats", "min_heartbeat_interval"),
    ("maximum deliveries per minute", "max_webhook_rate"),
    ("maximum bytes of a delivery", "max_webhook_body_bytes"),
    ("cost budget per month", "cost_budget_per_month"),
    ("quiet hours of alerts", "alert_quiet_hours"),
    ("minutes between reminders", "alert_remind_minutes"),
    ("days that firings are kept", "keep_firings_days"),
    ("days that invocations are kept", "keep_invocations_days"),
    ("days that deliveries are kept", "keep_deliveries_days"),
    ("days that messages are kept", "keep_messages_days"),
    ("days that notifications are kept", "keep_notifications_days"),
    ("days that the audit trail is kept", "keep_audit_days"),
    ("paused", "is_paused"),
    ("note", "paused_note"),
    ("paused by", "paused_by"),
    ("paused at", "paused_at"),
    ("created", "created_at"),
)
TENANT = Resource("tenant", "tenants", refs.Tenant, tenant_id, FIELDS, COLUMNS)

listed(group, TENANT)
shown(group, TENANT)


@client_command(group, "create")
def create(
    console: Console,
    name: Annotated[str, typer.Argument(help="Unique.")],
    timezone: Annotated[str | None, typer.Option(help="For example Europe/Berlin; default: UTC.")] = None,
    given: refs.Set = None,
) -> None:
    """Create a tenant."""
    body = {"name": name, **({} if timezone is None else {"timezone": timezone})}
    console.details(console.client.post("tenants", body=refs.put_fields(body, given)), FIELDS)


edited(group, TENANT)


@client_command(group, "budget", LIMIT_FIELDS)
def budget(
    console: Console,
    owner: refs.Tenant,
    tokens_per_day: TokensPerDay = None,
    invocations_per_hour: InvocationsPerHour = None,
) -> None:
    """Show the shared budget of a tenant's agents.

    With options, set it first.
    """
    chosen = tenant_id(console.client, owner)
    new = limits(tokens_per_day, invocations_per_hour)
    if new:
        console.client.patch("tenants", chosen, body=new)
    console.details(console.client.get("tenants", chosen), BUDGET)


@client_command(group, "pause")
def pause(
    console: Console,
    owner: refs.Tenant,
    note: Annotated[str | None, typer.Option(help="Why, for whoever looks later.")] = None,
) -> None:
    """Stop waking a tenant's agents.

    Their firings are recorded and wait.
    """
    body = None if note is None else {"note": note}
    answer = console.client.post("tenants", tenant_id(console.client, owner), "pause", body=body)
    console.done(answer, f"Paused tenant {owner}.")


@client_command(group, "resume")
def resume(console: Console, owner: refs.Tenant) -> None:
    """Wake a tenant's agents again."""
    answer = console.client.post("tenants", tenant_id(console.client, owner), "resume")
    console.done(answer, f"Resumed tenant {owner}.")


deleted(group, TENANT, " All its data is deleted too.")
