"""`reveille deliveries`: what webhooks received, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, client_command, confirm
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import one_of, times_of, trigger_id
from scheduler.commands.output import Columns, show_block, show_json

group = typer.Typer(help="What webhooks received, and what became of it.")

COLUMNS: Columns = (
    ("ID", "id"),
    ("RECEIVED", "received_at"),
    ("VERDICT", "verdict"),
    ("SIZE", "size"),
    ("TYPE", "content_type"),
    ("FIRING", "firing_id"),
    ("REASON", "reason"),
)
FIELDS: Columns = (
    ("id", "id"),
    ("received", "received_at"),
    ("verdict", "verdict"),
    ("reason", "reason"),
    ("the sender's id", "delivery_key"),
    ("type", "content_type"),
    ("size", "size"),
    ("firing", "firing_id"),
)
REPLAYED: Columns = (("DELIVERY", "delivery_id"), ("FIRING", "firing_id"), ("INVOCATION", "invocation_id"))

Delivery = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id.")]


@client_command(group, "list")
def list_deliveries(
    console: Console,
    trigger: refs.Trigger,
    verdict: Annotated[
        str | None, typer.Option(help="Only with this verdict; refused: all but the accepted ones.")
    ] = None,
    error: Annotated[str | None, typer.Option(help="With this text in the reason.")] = None,
    since: refs.Since = None,
    until: refs.Until = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List the deliveries of a webhook."""
    path = _path(console, trigger)
    query = {"verdict": verdict, "error": error, "from": since, "to": until}
    console.listing(path, COLUMNS, "deliveries", limit=limit, after=after, query=query)


@client_command(group, "show")
def show(console: Console, trigger: refs.Trigger, delivery: Delivery) -> None:
    """Show a delivery and what it carried; of a refused one the beginning is kept."""
    path = _path(console, trigger)
    answer = console.client.get(*path, _find(console, path, delivery)["id"])
    if console.as_json:
        show_json(answer)
        return
    console.details(answer, FIELDS)
    show_block("What it carried", answer["body"] or answer["body_base64"])


@client_command(group, "replay")
def replay(
    console: Console,
    trigger: refs.Trigger,
    delivery: Annotated[str | None, typer.Argument(metavar="[DELIVERY]", help="Its id.")] = None,
    since: refs.Since = None,
    until: refs.Until = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --from and --to: do not ask.")] = False,
) -> None:
    """Fire again with a delivery, or with all deliveries of a span of time, at most 100."""
    path = _path(console, trigger)
    if (delivery is None) == (since is None or until is None):
        raise UsageFault("Pass a delivery, or both --from and --to.")
    if delivery is not None:
        answer = console.client.post(*path, _find(console, path, delivery)["id"], "replay")
        console.done(answer, f"Fired: firing {answer['firing_id']}, in invocation {answer['invocation_id']}.")
        return
    confirm(f"Fire {trigger} again with each delivery from {since} to {until}?", yes=yes)
    answer = console.client.post(*path, "replay", body={"since": since, "until": until})
    if console.as_json:
        show_json(answer)
    else:
        console.rows(answer["items"], REPLAYED, empty="There are no deliveries to fire again.")


def _path(console: Console, trigger: str) -> tuple[str, ...]:
    return "triggers", trigger_id(console.client, trigger), "deliveries"


def _find(console: Console, path: tuple[str, ...], text: str) -> dict[str, Any]:
    """Returns the delivery with this id or short id. Their listing is in the order of time, not of ids."""
    span = times_of(text)
    rows = [] if span is None else console.client.every(*path, **{"from": span[0], "to": span[1]})
    return one_of(rows, text, "delivery", "give its id")
