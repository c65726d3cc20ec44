"""`reveille pause` and `reveille resume`: pause and resume all agents of a tenant, or of all tenants."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands.console import Console, client_command
from scheduler.commands.output import Columns, show_json

COLUMNS: Columns = (
    ("WHAT", "what"),
    ("PAUSED", "is_paused"),
    ("BY", "paused_by"),
    ("SINCE", "paused_at"),
    ("NOTE", "paused_note"),
)

Everything = Annotated[
    bool,
    typer.Option("--everything", help="All tenants (requires an operator's key); default: the current tenant."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    client_command(app, "pause")(pause)
    client_command(app, "resume")(resume)
    client_command(app, "paused")(paused)


def pause(
    console: Console,
    note: Annotated[str | None, typer.Option(help="Why, for whoever looks later.")] = None,
    everything: Everything = False,
) -> None:
    """Stop waking agents. Firings are recorded and wait; running invocations finish."""
    body: dict[str, Any] = {"everything": everything, **({} if note is None else {"note": note})}
    console.done(console.client.post("pause", body=body), f"Paused {_what(everything)}.")


def resume(console: Console, everything: Everything = False) -> None:
    """Wake agents again and deliver waiting firings. Agents and triggers paused individually stay paused."""
    answer = console.client.post("resume", body={"everything": everything})
    other = answer["tenant" if everything else "service"]["is_paused"]
    still = f" {_what(not everything).capitalize()} is still paused." if other else ""
    console.done(answer, f"Resumed {_what(everything)}.{still}")


def paused(console: Console) -> None:
    """Show what is paused, why, by whom and since when."""
    answer = console.client.get("pause")
    if console.as_json:
        show_json(answer)
        return
    rows = [{"what": _what(every), **answer["service" if every else "tenant"]} for every in (False, True)]
    console.rows(rows, COLUMNS, empty="")


def _what(everything: bool) -> str:
    return "everything" if everything else "the tenant"
