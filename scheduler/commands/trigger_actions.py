"""More of `reveille triggers`: trials, polls, types, new addresses, and what awaits a person's approval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands import trigger_options as given
from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id, agent_names, name_among, trigger_id
from scheduler.commands.output import Columns, say, show_block, show_json
from scheduler.domain.text import counted

approvals = typer.Typer(help="Approve the triggers that agents create.", cls=refs.DefaultsToList)

TRIAL_FIELDS: Columns = (
    ("result", "status"),
    ("would fire", "would_fire"),
    ("value", "value"),
    ("as it was sent", "as_sent"),
    ("value cut", "value_cut"),
    ("error", "error"),
)
POLL_FIELDS: Columns = (
    ("checked", "checked_at"),
    ("failures in a row", "failures"),
    ("first failure", "first_failure_at"),
    ("note", "note"),
    ("has a value", "is_seen"),
    ("value", "value"),
    ("as it was sent", "as_sent"),
    ("value cut", "value_cut"),
)
APPROVAL_COLUMNS: Columns = (
    ("ID", "id"),
    ("AGENT/NAME", "reference"),
    ("TYPE", "type"),
    ("CONFIG", "config"),
    ("CHANGED", "updated_at"),
    ("REASON", "reason"),
)
TYPE_COLUMNS: Columns = (("TYPE", "type"), ("TITLE", "label"), ("SUMMARY", "summary"))


def register(app: typer.Typer, group: typer.Typer) -> None:
    """Adds the commands to the root command and to the group of triggers."""
    client_command(group, "poll")(poll)
    client_command(group, "rotate")(rotate)
    client_command(group, "types")(types)
    client_command(group, "add-all")(add_all)
    app.add_typer(approvals, name="approvals")


def try_now(
    console: Console,
    trigger: refs.TriggerOrNone = None,
    kind: given.Type = None,
    config: given.ConfigJson = None,
    *,
    own: Mapping[str, Any],
) -> None:
    """Check now what a trigger would find.

    One that exists, or one with these options. Nothing is recorded.
    """
    if trigger is not None:
        if own or kind is not None or config is not None:
            raise UsageFault("Pass a trigger or the options of one, not both.")
        answer = console.client.post("triggers", trigger_id(console.client, trigger), "try")
    else:
        kind_name, shape = given.shape(kind, config, own, given.options_of_kinds())
        given.name_options(console, kind_name, config, own)
        answer = console.client.post("triggers", "try", body={"type": kind_name, "config": shape})
    console.details(answer, TRIAL_FIELDS)


def poll(console: Console, trigger: refs.Trigger) -> None:
    """Show what a poll found at its last check."""
    console.details(console.client.get("triggers", trigger_id(console.client, trigger), "poll"), POLL_FIELDS)


def rotate(console: Console, trigger: refs.Trigger, yes: Yes = False) -> None:
    """Give a webhook a new address, after confirmation. The old one stops working at once."""
    chosen = trigger_id(console.client, trigger)
    confirm(f"Give {trigger} a new address? Its senders must use it from now on.", yes=yes)
    answer = console.client.post("triggers", chosen, "rotate-token")
    console.done(answer, f"{answer['hook_url']}\nSave this address: it is not shown again.")


def types(console: Console) -> None:
    """List the types of triggers.

    With --json also their settings.
    """
    answer = console.client.get("trigger-types")
    if console.as_json:
        show_json(answer)
    else:
        console.rows(answer["items"], TYPE_COLUMNS, empty="There are no types.")


def add_all(
    console: Console,
    file: Annotated[str, typer.Argument(metavar="JSON|@FILE", help='{"items": [{"agent_id": …, "name": …}, …]}')],
) -> None:
    """Add up to 1,000 triggers at once, all or none."""
    answer = console.client.post("triggers", "bulk", body=given.read_json_object("The list", file))
    if console.as_json:
        show_json(answer)
        return
    say(f"Added {counted(len(answer['items']), 'trigger')}.")
    hooks = "\n".join(f"{each['name']}  {each['hook_url']}" for each in answer["items"] if each["hook_url"])
    show_block("Save these addresses: they are not shown again.", hooks)


@client_command(approvals, "list")
def list_approvals(
    console: Console,
    agent: refs.OfAgent = None,
    text: refs.Search = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List triggers that await approval."""
    console.listing(
        ("approvals",),
        APPROVAL_COLUMNS,
        "triggers that await approval",
        limit=limit,
        after=after,
        named=lambda items: referenced(console, items),
        query={"agent_id": None if agent is None else agent_id(console.client, agent), "text": text},
    )


@client_command(approvals, "approve")
def approve(
    console: Console,
    trigger: refs.Trigger,
    seen: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Its updated_at as you saw it: refused if it has changed since."),
    ] = None,
) -> None:
    """Approve a trigger, which starts it."""
    body = None if seen is None else {"updated_at": seen}
    answer = console.client.post("triggers", trigger_id(console.client, trigger), "approve", body=body)
    console.done(answer, f"Approved trigger {answer['name']}.")


@client_command(approvals, "reject")
def reject(
    console: Console,
    trigger: refs.Trigger,
    note: Annotated[str | None, typer.Option(help="The reason, shown to its agent.")] = None,
) -> None:
    """Reject a trigger, which stays disabled."""
    body = None if note is None else {"note": note}
    answer = console.client.post("triggers", trigger_id(console.client, trigger), "reject", body=body)
    console.done(answer, f"Rejected trigger {answer['name']}.")


def referenced(console: Console, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds to triggers the references that other commands accept."""
    names = agent_names(console.client)
    return [{**each, "reference": f"{name_among(names, each['agent_id'])}/{each['name']}"} for each in items]
