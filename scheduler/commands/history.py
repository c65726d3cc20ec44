"""`reveille firings` and `reveille invocations`: what fired, and which agents it woke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.lookup import agent_id, agent_names, checked_id, trigger_id
from scheduler.commands.output import Columns, show_block, show_json, show_table
from scheduler.domain.model import FiringState, InvocationState

invocations = typer.Typer(help="List and manage invocations.")

OfAgent = Annotated[str | None, typer.Option("--agent", metavar="AGENT", help="Only for this agent: id or name.")]
InvocationRef = Annotated[str, typer.Argument(metavar="INVOCATION", help="Its id.")]

FIRING_COLUMNS: Columns = (
    ("ID", "id"),
    ("TRIGGER", "reference"),
    ("TYPE", "trigger_type"),
    ("FIRED", "fired_at"),
    ("SLOTS", "slot_count"),
    ("STATE", "state"),
    ("ACK", "ack"),
    ("INVOCATION", "invocation_id"),
)
COLUMNS: Columns = (
    ("ID", "id"),
    ("AGENT", "agent_name"),
    ("STATE", "state"),
    ("FIRINGS", "firing_count"),
    ("ATTEMPT", "attempt"),
    ("STARTED", "started_at"),
    ("FINISHED", "finished_at"),
    ("HELD", "held_reason"),
    ("REASON", "reason"),
)
FIELDS: Columns = (
    ("id", "id"),
    ("agent", "agent_id"),
    ("state", "state"),
    ("reason", "reason"),
    ("firings", "firing_count"),
    ("opened", "opened_at"),
    ("due", "due_at"),
    ("held for", "held_reason"),
    ("held until", "held_until"),
    ("note", "held_note"),
    ("ready", "ready_at"),
    ("started", "started_at"),
    ("finished", "finished_at"),
    ("deadline", "deadline_at"),
    ("attempt", "attempt"),
    ("cancel requested", "cancel_requested"),
    ("reply cut", "reply_truncated"),
    ("tokens in", "tokens_in"),
    ("tokens out", "tokens_out"),
    ("cost", "cost"),
    ("replayed into", "replayed_into"),
)
TRY_COLUMNS: Columns = (
    ("TRY", "attempt"),
    ("STARTED", "started_at"),
    ("ENDED", "ended_at"),
    ("OUTCOME", "outcome"),
    ("ERROR", "error"),
    ("NOTE", "note"),
)


def register(app: typer.Typer) -> None:
    """Adds the command and the group to the root command."""
    client_command(app, "firings")(firings)
    app.add_typer(invocations, name="invocations")


def firings(
    console: Console,
    agent: OfAgent = None,
    trigger: Annotated[
        str | None, typer.Option(metavar="TRIGGER", help="Only for this trigger: id, or AGENT/NAME.")
    ] = None,
    state: Annotated[FiringState | None, typer.Option(help="Only in this state.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List firings."""
    client = console.client
    page = client.get(
        "firings",
        agent_id=None if agent is None else agent_id(client, agent),
        trigger_id=None if trigger is None else trigger_id(client, trigger),
        state=state,
        limit=limit,
        after=after,
    )
    console.table(page, FIRING_COLUMNS, "firings", named=lambda: _named(console, page["items"]))


def _named(console: Console, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds to firings or invocations the agent's name, and the trigger as other commands accept it."""
    names = agent_names(console.client)
    rows = [{**each, "agent_name": names.get(each["agent_id"], each["agent_id"])} for each in items]
    return [row | {"reference": f"{row['agent_name']}/{row.get('trigger_name')}"} for row in rows]


@client_command(invocations, "list")
def list_invocations(
    console: Console,
    agent: OfAgent = None,
    state: Annotated[InvocationState | None, typer.Option(help="Only in this state.")] = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List invocations."""
    chosen = None if agent is None else agent_id(console.client, agent)
    page = console.client.get("invocations", agent_id=chosen, state=state, limit=limit, after=after)
    console.table(page, COLUMNS, "invocations", named=lambda: _named(console, page["items"]))


@client_command(invocations, "show")
def show(console: Console, invocation: InvocationRef) -> None:
    """Show an invocation with its attempts, context and reply."""
    answer: dict[str, Any] = console.client.get("invocations", checked_id(invocation, "invocation"))
    if console.as_json:
        show_json(answer)
        return
    console.details(answer, FIELDS)
    if answer.get("tries"):
        show_block("Tries", " ")
        show_table(answer["tries"], TRY_COLUMNS, empty="")
    show_block("Context", answer.get("context"))
    show_block("Reply", answer.get("reply"))


@client_command(invocations, "cancel")
def cancel(console: Console, invocation: InvocationRef) -> None:
    """Cancel an invocation; a running one ends soon after."""
    answer = console.client.post("invocations", checked_id(invocation, "invocation"), "cancel")
    running = "; it was asked to stop" if answer["state"] != InvocationState.CANCELLED else ""
    console.done(answer, f"Invocation {answer['id']} is {answer['state']}{running}.")


@client_command(invocations, "replay")
def replay(console: Console, invocation: InvocationRef) -> None:
    """Wake the agent again with an invocation's firings."""
    answer = console.client.post("invocations", checked_id(invocation, "invocation"), "replay")
    console.done(answer, f"Its firings are in invocation {answer['invocation_id']} now.")
