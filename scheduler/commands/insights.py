"""`reveille insights`: figures over time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands.console import Console, client_command
from scheduler.commands.lookup import agent_id, trigger_id
from scheduler.commands.output import Columns, say, show_json, show_table
from scheduler.domain.periods import Step

BUCKETS: Columns = (
    ("START", "start"),
    ("FIRINGS", "firings"),
    ("WAKES", "wakes"),
    ("FAILED", "failures"),
    ("LATENESS 95 %", "lateness_p95"),
    ("TOKENS IN", "tokens_in"),
    ("TOKENS OUT", "tokens_out"),
    ("COST", "cost"),
)
AGENTS: Columns = (
    ("AGENT", "name"),
    ("WAKES", "wakes"),
    ("FAILED", "failures"),
    ("TOKENS IN", "tokens_in"),
    ("TOKENS OUT", "tokens_out"),
    ("COST", "cost"),
)
TRIGGERS: Columns = (("AGENT", "agent_name"), ("TRIGGER", "name"), ("TYPE", "type"), ("FIRINGS", "firings"))


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "insights")(insights)


def insights(
    console: Console,
    agent: Annotated[str | None, typer.Option(metavar="AGENT", help="Only of this agent: id or name.")] = None,
    trigger: Annotated[
        str | None, typer.Option(metavar="TRIGGER", help="Only of this one: id or AGENT/NAME.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="ISO 8601; default: a day ago.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="ISO 8601; default: now.")] = None,
    step: Annotated[Step | None, typer.Option("--by", help="Default: hour for up to three days.")] = None,
    zone: Annotated[
        str | None, typer.Option("--timezone", help="Whose hours and days; default: the tenant's.")
    ] = None,
) -> None:
    """Show figures over time.

    Firings, wakes, failures, lateness, tokens and cost; the agents that fail and spend most, the triggers that
    fire most.
    """
    given: dict[str, Any] = {"from": since, "to": until, "step": step and step.value, "zone": zone}
    given["agent_id"] = None if agent is None else agent_id(console.client, agent)
    given["trigger_id"] = None if trigger is None else trigger_id(console.client, trigger)
    found = console.client.get("insights", **given)
    if console.as_json:
        show_json(found)
        return
    total = {"start": "total", "lateness_p95": None, **found["totals"]}
    show_table([*found["buckets"], total], BUCKETS, empty="")
    for title, name, columns in (
        ("Agents that fail most", "failing_agents", AGENTS),
        ("Agents that spend most", "spending_agents", AGENTS),
        ("Triggers that fire most", "noisy_triggers", TRIGGERS),
    ):
        if found[name]:
            say(f"\n{title}")
            show_table(found[name], columns, empty="")
    month = found["month"]
    limit = "" if month["budget"] is None else f" of {month['budget']:,.2f}"
    tokens = month["tokens_in"] + month["tokens_out"]
    say(f"\nThis month: {tokens:,} tokens, {month['cost']:,.2f}{limit} {found['currency']}")
