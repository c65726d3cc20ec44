"""More of `reveille agents`: wakes, heartbeats, focuses, notes and usage."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands import refs
from scheduler.commands.console import Console, Yes, client_command, confirm
from scheduler.commands.lookup import agent_id
from scheduler.commands.output import Columns, say, show_block, show_json
from scheduler.commands.trigger_options import parse_duration, read_json_object, read_text
from scheduler.domain.text import counted

FOCUS_COLUMNS: Columns = (("FOCUS", "focus_ref"), ("TRIGGERS", "triggers"), ("ENABLED", "enabled"))
DAY_COLUMNS: Columns = (
    ("DAY", "day"),
    ("TOKENS IN", "tokens_in"),
    ("TOKENS OUT", "tokens_out"),
    ("COST", "cost"),
    ("INVOCATIONS", "invocations"),
)
TRIGGER_COLUMNS: Columns = (
    ("TRIGGER", "trigger_name"),
    ("FIRINGS", "firings"),
    ("TOKENS IN", "tokens_in"),
    ("TOKENS OUT", "tokens_out"),
    ("COST", "cost"),
)
HEARTBEAT_FIELDS: Columns = (
    ("trigger", "id"),
    ("enabled", "is_enabled"),
    ("config", "config"),
    ("reason", "reason"),
    ("next", "next_fire_at"),
)
SECONDS = 60
"""In a minute."""


def register(group: typer.Typer) -> None:
    """Adds the commands to the group of agents."""
    for command in (wake, notes, usage):
        client_command(group, command.__name__)(command)
    client_command(group, "heartbeat", {"minutes": "--every (in minutes)", "only_between": "--between"})(heartbeat)
    client_command(group, "focus")(focus)
    client_command(group, "create-all")(create_all)


def wake(
    console: Console,
    agent: refs.Agent,
    message: Annotated[str, typer.Argument(metavar="MESSAGE|@FILE", help="What it is told.")],
    now: Annotated[bool, typer.Option("--now", help="Close its window at once instead of waiting.")] = False,
    caller: Annotated[
        str | None, typer.Option("--from-agent", metavar="AGENT", help="The agent that calls: id or name.")
    ] = None,
    once_key: refs.IdempotencyKey = None,
) -> None:
    """Wake an agent with a message."""
    body: dict[str, Any] = {"message": read_text("MESSAGE", message), "skip_dedup": now}
    body |= {} if caller is None else {"from_agent_id": agent_id(console.client, caller)}
    answer = console.client.post(
        "agents", agent_id(console.client, agent), "wake", body=body, idempotency_key=once_key
    )
    console.done(answer, f"Firing {answer['firing_id']}, in invocation {answer['invocation_id']}.")


def heartbeat(
    console: Console,
    agent: refs.Agent,
    every: Annotated[str | None, typer.Option(metavar="30m|4h", help="How often it is woken.")] = None,
    between: Annotated[str | None, typer.Option(metavar="09:00-17:00", help="Only in these hours.")] = None,
    instruction: Annotated[str | None, typer.Option(metavar="TEXT|@FILE", help="What it is told.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Stop it.")] = False,
) -> None:
    """Wake an agent regularly: create or replace its heartbeat."""
    body = {
        "minutes": None if every is None else parse_duration("--every", every) / SECONDS,
        "only_between": between,
        "instruction": read_text("--instruction", instruction),
        "enabled": not off,
    }
    given = {name: value for name, value in body.items() if value is not None}
    answer = console.client.put("agents", agent_id(console.client, agent), "heartbeat", body=given)
    console.details(answer, HEARTBEAT_FIELDS)


def focus(
    console: Console,
    agent: refs.Agent,
    resolve: Annotated[
        str | None, typer.Option(metavar="FOCUS", help="End all triggers of this focus, after confirmation.")
    ] = None,
    yes: Yes = False,
) -> None:
    """List the subjects of an agent's triggers, or end one."""
    path = ("agents", agent_id(console.client, agent), "focus")
    if resolve is None:
        console.table(console.client.get(*path), FOCUS_COLUMNS, "focuses")
        return
    confirm(f"End all triggers of {resolve}?", yes=yes)
    answer = console.client.post(*path, resolve, "resolve")
    console.done(answer, f"Ended {counted(len(answer['items']), 'trigger')}.")


def notes(
    console: Console,
    agent: refs.Agent,
    text: Annotated[
        str | None, typer.Option("--set", metavar="TEXT|@FILE", help="Replace them with this.")
    ] = None,
) -> None:
    """Show an agent's notes, or replace them."""
    path = ("agents", agent_id(console.client, agent), "notes")
    if text is None:
        answer = console.client.get(*path)
    else:
        answer = console.client.put(*path, body={"text": read_text("--set", text)})
    if console.as_json:
        show_json(answer)
        return
    if answer["updated_at"]:
        say(f"Written {console.view.time(answer['updated_at'])} by {answer['updated_by']}.")
    show_block("Notes", answer["text"] or "There are none.")


def usage(
    console: Console,
    agent: refs.Agent,
    days: Annotated[int, typer.Option(min=1, max=366, help="The time span.")] = 30,
) -> None:
    """Show an agent's tokens and cost by day, and by trigger."""
    answer = console.client.get("agents", agent_id(console.client, agent), "usage", days=days)
    if console.as_json:
        show_json(answer)
        return
    console.rows(answer["days"], DAY_COLUMNS, empty="It used nothing.")
    if answer["triggers"]:
        say("")
        console.rows(answer["triggers"], TRIGGER_COLUMNS, empty="")


def create_all(
    console: Console,
    file: Annotated[str, typer.Argument(metavar="JSON|@FILE", help='{"items": [{"name": …, "runtime": …}, …]}')],
) -> None:
    """Create up to 1,000 agents at once, all or none."""
    answer = console.client.post("agents", "bulk", body=read_json_object("The list", file))
    if console.as_json:
        show_json(answer)
        return
    say(f"Created {counted(len(answer['items']), 'agent')}.")
    secrets = [(each["name"], each["runtime"].get("secret")) for each in answer["items"]]
    lines = "\n".join(f"{name}  {secret}" for name, secret in secrets if secret)
    show_block("Keep these secrets, which sign the calls: they are not shown again.", lines)
