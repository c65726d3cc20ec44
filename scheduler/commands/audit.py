"""`reveille audit` and `reveille search`: who did what, and where something is."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.lookup import agent_id, subject_id, trigger_id
from scheduler.commands.output import Columns, show_json

COLUMNS: Columns = (
    ("ID", "id"),
    ("AT", "at"),
    ("WHO", "actor"),
    ("ACTION", "action"),
    ("SUBJECT", "subject_id"),
    ("DETAIL", "detail"),
)

FOUND: Columns = (("ID", "id"), ("KIND", "kind"), ("AT", "at"), ("TITLE", "title"), ("DETAIL", "detail"))


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "search")(search)
    client_command(app, "audit")(audit)


def audit(
    console: Console,
    agent: refs.OfAgent = None,
    trigger: refs.OfTrigger = None,
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Only about the object with this id.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this, such as trigger.paused, or of this subject, such as trigger.")
    ] = None,
    since: refs.Since = None,
    until: refs.Until = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List who did what, and when."""
    client = console.client
    query = {
        "agent_id": None if agent is None else agent_id(client, agent),
        "trigger_id": None if trigger is None else trigger_id(client, trigger),
        "subject_id": None if subject is None else subject_id(client, subject),
        "action": action,
        "from": since,
        "to": until,
    }
    console.listing(("audit",), COLUMNS, "events", limit=limit, after=after, query=query)


def search(
    console: Console,
    words: Annotated[list[str], typer.Argument(help="Part of a name, reason or error, or of an id.")],
) -> None:
    """Find things by names, reasons, errors and ids.

    Agents, triggers, invocations, firings and more.
    """
    answer = console.client.get("search", q=" ".join(words))
    if console.as_json:
        show_json(answer)
    else:
        console.rows(answer["items"], FOUND, empty="Nothing was found.")
