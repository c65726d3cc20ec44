"""`reveille alerts`: what is in trouble, since when, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.output import Columns

COLUMNS: Columns = (
    ("SUBJECT", "subject_name"),
    ("SINCE", "opened_at"),
    ("CLOSED", "closed_at"),
    ("REASON", "reason"),
    ("WHAT TO DO", "advice"),
)


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    client_command(app, "alerts")(alerts)


def alerts(
    console: Console,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List open alerts."""
    is_open = None if every else "true"
    console.table(console.client.get("alerts", open=is_open, limit=limit, after=after), COLUMNS, "alerts")
