"""`reveille agents budget` and `reveille ack`: limits, usage, and acknowledgements."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import Console, client_command
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id, checked_id
from scheduler.commands.output import Columns
from scheduler.domain.acks import AckStatus

AGENT_FIELDS: Columns = (
    ("agent", "name"),
    ("maximum tokens per day", "budget.tokens_per_day.limit"),
    ("used today", "budget.tokens_per_day.used"),
    ("maximum invocations per hour", "budget.invocations_per_hour.limit"),
    ("used in the hour", "budget.invocations_per_hour.used"),
    ("the tenant's maximum tokens per day", "budget.tenant_tokens_per_day.limit"),
    ("used today by all", "budget.tenant_tokens_per_day.used"),
    ("the tenant's maximum invocations per hour", "budget.tenant_invocations_per_hour.limit"),
    ("used in the hour by all", "budget.tenant_invocations_per_hour.used"),
    ("held until", "budget.held_until"),
    ("note", "budget.note"),
)
ACK_FIELDS: Columns = (("firing", "id"), ("is", "ack"), ("comes back", "deferred_until"))

MAX_DIGITS = 18
"""The maximum digits of a limit; the database cannot store a larger one."""

LIMIT_FIELDS = {
    "max_tokens_per_day": "--tokens-per-day",
    "max_invocations_per_hour": "--invocations-per-hour",
}
TokensPerDay = Annotated[str | None, typer.Option(metavar="N|none", help="Maximum tokens per day.")]
InvocationsPerHour = Annotated[str | None, typer.Option(metavar="N|none", help="Maximum invocations per hour.")]


def register(app: typer.Typer, agents: typer.Typer) -> None:
    """Adds the commands to the root command and to the group of agents."""
    client_command(agents, "budget", LIMIT_FIELDS)(agent_budget)
    client_command(app, "ack")(ack)


def agent_budget(
    console: Console,
    agent: refs.Agent,
    tokens_per_day: TokensPerDay = None,
    invocations_per_hour: InvocationsPerHour = None,
) -> None:
    """Show an agent's budget and usage.

    With options, set the budget first.
    """
    chosen = agent_id(console.client, agent)
    new = limits(tokens_per_day, invocations_per_hour)
    if new:
        console.client.patch("agents", chosen, body=new)
    console.details(console.client.get("agents", chosen), AGENT_FIELDS)


def ack(
    console: Console,
    firing: refs.Firing,
    status: Annotated[AckStatus, typer.Argument(help="The outcome.")],
    until: Annotated[
        str | None, typer.Option(help="With deferred: when it comes back, ISO 8601; UTC without an offset.")
    ] = None,
) -> None:
    """Acknowledge a firing on behalf of its agent."""
    body: dict[str, Any] = {"status": status.value} | ({} if until is None else {"until": until})
    answer = console.client.post(
        "firings", checked_id(console.client, firing, "firing", "firings"), "ack", body=body
    )
    console.details(answer, ACK_FIELDS)


def limits(tokens_per_day: str | None, invocations_per_hour: str | None) -> dict[str, int | None]:
    """Returns the fields that a PATCH sets."""
    given = zip(LIMIT_FIELDS.items(), (tokens_per_day, invocations_per_hour), strict=True)
    return {field: _limit(option, text) for (field, option), text in given if text is not None}


def _limit(option: str, text: str) -> int | None:
    if text == "none":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise UsageFault(f"{option} {text[:40]!r} must be a number, or none to remove the limit.")
    return int(text)
