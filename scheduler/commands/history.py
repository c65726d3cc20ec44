"""`reveille firings` and `reveille invocations`: what fired, and which agents it woke."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, client_command
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id, agent_names, checked_id, name_among, trigger_id
from scheduler.commands.output import Columns, say, show_block, show_json
from scheduler.commands.trigger_options import read_text
from scheduler.domain.model import InvocationState
from scheduler.domain.text import STATE_WORDS

firings = typer.Typer(help="Show firings; lists them by default.", cls=refs.DefaultsToList)
invocations = typer.Typer(help="List and manage invocations.")

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
FIRING_FIELDS: Columns = (
    ("id", "id"),
    ("trigger", "trigger_name"),
    ("type", "trigger_type"),
    ("reason", "reason"),
    ("focus", "focus_ref"),
    ("state", "state"),
    ("fired", "fired_at"),
    ("scheduled for", "scheduled_for"),
    ("slots", "slot_count"),
    ("trust", "trust"),
    ("invocation", "invocation_id"),
    ("acknowledged as", "ack"),
    ("acknowledged", "acked_at"),
    ("comes back", "deferred_until"),
    ("payload", "content_type"),
    ("bytes", "payload_size"),
)
CARRIED_COLUMNS: Columns = (
    ("ID", "id"),
    ("TRIGGER", "trigger_name"),
    ("FIRED", "fired_at"),
    ("ACK", "ack"),
    ("REASON", "reason"),
)
DOCUMENT_COLUMNS: Columns = (("NUMBER", "number"), ("NAME", "name"), ("TYPE", "content_type"), ("SIZE", "size"))
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
ATTEMPT_COLUMNS: Columns = (
    ("ATTEMPT", "attempt"),
    ("STARTED", "started_at"),
    ("ENDED", "ended_at"),
    ("OUTCOME", "outcome"),
    ("ERROR", "error"),
    ("NOTE", "note"),
)


def register(app: typer.Typer) -> None:
    """Adds the command and the group to the root command."""
    app.add_typer(firings, name="firings")
    app.add_typer(invocations, name="invocations")


@client_command(firings, "list")
def list_firings(
    console: Console,
    agent: refs.OfAgent = None,
    trigger: refs.OfTrigger = None,
    state: refs.StateOfFirings = None,
    since: refs.Since = None,
    until: refs.Until = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List firings."""
    query = _query(console, agent, trigger, state, since, until)
    path = ("firings",)
    console.listing(path, FIRING_COLUMNS, "firings", limit=limit, after=after, named=_namer(console), query=query)


@client_command(firings, "show")
def show_firing(console: Console, firing: refs.Firing) -> None:
    """Show a firing and what it carries."""
    answer: dict[str, Any] = console.client.get("firings", _firing_id(console, firing))
    if console.as_json:
        show_json(answer)
        return
    console.details(answer, FIRING_FIELDS)
    if answer["documents"]:
        show_block("Documents", " ")
        console.rows(answer["documents"], DOCUMENT_COLUMNS, empty="")
    show_block("Payload", answer["payload"] or answer["payload_base64"])
    if answer["payload"] is None and answer["data"]:
        show_block("Data", json.dumps(answer["data"], indent=2, ensure_ascii=False))


@client_command(firings, "payload")
def payload(
    console: Console,
    firing: refs.Firing,
    document: Annotated[
        int | None, typer.Option(min=1, help="The document with this number instead, such as a whole mail.")
    ] = None,
) -> None:
    """Write what a firing carries to stdout, byte for byte: `firings payload ID > FILE`."""
    path = ("firings", _firing_id(console, firing))
    whole = (*path, "payload") if document is None else (*path, "documents", str(document))
    data = console.client.download(*whole)
    if sys.stdout.isatty():
        say(data.decode("utf-8", "backslashreplace"))
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def _firing_id(console: Console, text: str) -> str:
    return checked_id(console.client, text, "firing", "firings")


def _query(
    console: Console,
    agent: str | None,
    trigger: str | None,
    state: str | None,
    since: str | None,
    until: str | None,
) -> dict[str, object]:
    return {
        "agent_id": None if agent is None else agent_id(console.client, agent),
        "trigger_id": None if trigger is None else trigger_id(console.client, trigger),
        "state": state,
        "from": since,
        "to": until,
    }


def _namer(console: Console) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda items: with_names(agent_names(console.client), items)


def with_names(names: Mapping[str, str], items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Adds to firings or invocations the agent's name, and the trigger as other commands accept it."""
    rows = [{**each, "agent_name": name_among(names, each["agent_id"])} for each in items]
    return [row | {"reference": f"{row['agent_name']}/{row.get('trigger_name')}"} for row in rows]


@client_command(invocations, "list")
def list_invocations(
    console: Console,
    agent: refs.OfAgent = None,
    trigger: refs.OfTrigger = None,
    state: refs.StateOfInvocations = None,
    error: Annotated[str | None, typer.Option(help="With this text in the error or the reason.")] = None,
    since: refs.Since = None,
    until: refs.Until = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List invocations."""
    query = _query(console, agent, trigger, state, since, until) | {"error": error}
    path = ("invocations",)
    console.listing(path, COLUMNS, "invocations", limit=limit, after=after, named=_namer(console), query=query)


@client_command(invocations, "show")
def show(console: Console, invocation: refs.Invocation) -> None:
    """Show an invocation with its attempts, context and reply."""
    answer: dict[str, Any] = console.client.get("invocations", _invocation_id(console, invocation))
    if console.as_json:
        show_json(answer)
        return
    console.details(answer, FIELDS)
    if answer.get("tries"):
        show_block("Attempts", " ")
        console.rows(answer["tries"], ATTEMPT_COLUMNS, empty="")
    if answer.get("firings"):
        show_block("Firings", " ")
        console.rows(with_names({}, answer["firings"]), CARRIED_COLUMNS, empty="")
    show_block("Context", answer.get("context"))
    show_block("Reply", answer.get("reply"))


@client_command(invocations, "cancel")
def cancel(console: Console, invocation: refs.Invocation) -> None:
    """Cancel an invocation; a running one ends soon after."""
    answer = console.client.post("invocations", _invocation_id(console, invocation), "cancel")
    running = "; it was asked to stop" if answer["state"] != InvocationState.CANCELLED else ""
    console.done(answer, f"Invocation {answer['id']} is {answer['state']}{running}.")


@client_command(invocations, "replay")
def replay(console: Console, invocation: refs.Invocation) -> None:
    """Wake the agent again with an invocation's firings."""
    answer = console.client.post("invocations", _invocation_id(console, invocation), "replay")
    console.done(answer, f"Its firings are in invocation {answer['invocation_id']} now.")


@client_command(invocations, "complete")
def complete(
    console: Console,
    invocation: refs.Invocation,
    reply: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="It succeeded with this reply.")] = None,
    error: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="It failed with this error.")] = None,
) -> None:
    """End a running invocation on behalf of an agent that will not."""
    if (reply is None) == (error is None):
        raise UsageFault("Pass one of --reply and --error.")
    chosen = _invocation_id(console, invocation)
    said = {"reply": read_text("--reply", reply)} if reply is not None else {"error": read_text("--error", error)}
    body = {"attempt": console.client.get("invocations", chosen)["attempt"], **said}
    answer = console.client.post("invocations", chosen, "complete", body=body)
    console.done(answer, f"Invocation {answer['id']} is {STATE_WORDS.get(answer['state'], answer['state'])}.")


def _invocation_id(console: Console, text: str) -> str:
    return checked_id(console.client, text, "invocation", "invocations")
