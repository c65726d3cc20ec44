"""`reveille alerts`: what is in trouble, since when, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id, checked_id, trigger_id
from scheduler.commands.output import Columns

group = typer.Typer(help="Show and mute alerts; lists open ones by default.", cls=refs.DefaultsToList)

COLUMNS: Columns = (
    ("SUBJECT", "subject_name"),
    ("SINCE", "opened_at"),
    ("CLOSED", "closed_at"),
    ("REASON", "reason"),
    ("WHAT TO DO", "advice"),
)


MUTE_COLUMNS: Columns = (
    ("ID", "id"),
    ("RULE", "rule"),
    ("SUBJECT", "subject_name"),
    ("UNTIL", "until"),
    ("BY", "created_by"),
    ("NOTE", "note"),
)


def register(app: typer.Typer) -> None:
    """Adds the group to the root command."""
    app.add_typer(group, name="alerts")


@client_command(group, "list")
def alerts(
    console: Console,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List open alerts."""
    is_open = None if every else "true"
    console.listing(("alerts",), COLUMNS, "alerts", limit=limit, after=after, query={"open": is_open})


@client_command(group, "mutes")
def mutes(console: Console, limit: Limit = 50, after: After = None) -> None:
    """List what nobody is told of."""
    console.listing(("alerts", "mutes"), MUTE_COLUMNS, "mutes", limit=limit, after=after)


@client_command(group, "mute")
def mute(
    console: Console,
    rule: Annotated[str | None, typer.Option(help="This rule, such as agent_asleep; see docs/alerts.md.")] = None,
    agent: refs.OfAgent = None,
    trigger: refs.OfTrigger = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until then (ISO 8601); default: for good.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="The reason, shown to others.")] = None,
) -> None:
    """Mute alerts: they open, but nobody is notified.

    Those of a rule, of an agent or trigger, or of both.
    """
    if agent is not None and trigger is not None:
        raise UsageFault("--agent and --trigger cannot be combined.")
    if agent is None and trigger is None and rule is None:
        raise UsageFault("Choose what to mute: --rule, --agent or --trigger.")
    client = console.client
    subject = None if agent is None else agent_id(client, agent)
    subject = subject if trigger is None else trigger_id(client, trigger)
    body = {"rule": rule, "subject_id": subject, "until": until, "note": note}
    answer = client.post(
        "alerts", "mutes", body={name: value for name, value in body.items() if value is not None}
    )
    what = answer["rule"] or "all alerts"
    whom = f" of {answer['subject_name']}" if answer["subject_name"] else ""
    console.done(answer, f"Muted {what}{whom}; `reveille alerts unmute {answer['id']}` ends it.")


@client_command(group, "unmute")
def unmute(console: Console, muted: Annotated[str, typer.Argument(metavar="MUTE", help="Its id.")]) -> None:
    """End a mute."""
    client = console.client
    client.delete("alerts", "mutes", checked_id(client, muted, "mute", "alerts", "mutes"))
    console.done(None, f"Ended mute {muted}.")


@client_command(group, "badge")
def badge(
    console: Console,
    remove: Annotated[bool, typer.Option("--remove", help="Only revoke the current address.")] = False,
) -> None:
    """Make a badge: a picture that says whether all is quiet.

    Its former address ends.
    """
    if remove:
        console.client.delete("alerts", "badge")
        console.done(None, "Revoked the badge's address.")
        return
    answer = console.client.post("alerts", "badge")
    console.done(answer, f"{answer['url']}\nSave this address: it is not shown again.")
