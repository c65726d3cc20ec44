"""`reveille agents`: who is woken."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id
from scheduler.commands.output import Columns, say
from scheduler.commands.trigger_options import parse_duration, read_json_object

group = typer.Typer(help="Agents: who is woken.")

Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Its id or its exact name.")]

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("RUNTIME", "runtime.kind"),
    ("ZONE", "timezone"),
    ("PAUSED", "is_paused"),
)
FIELDS: Columns = (
    ("id", "id"),
    ("name", "name"),
    ("runtime", "runtime"),
    ("role", "role_description"),
    ("zone", "timezone"),
    ("language", "language"),
    ("window, seconds", "dedup_delay_seconds"),
    ("firings a wake", "max_batch"),
    ("triggers at most", "max_triggers"),
    ("tokens a day at most", "max_tokens_per_day"),
    ("invocations an hour at most", "max_invocations_per_hour"),
    ("paused", "is_paused"),
    ("note", "paused_note"),
    ("expires", "expires_at"),
    ("created", "created_at"),
)


@client_command(group, "list")
def list_agents(console: Console, limit: Limit = 50, after: After = None) -> None:
    """List agents."""
    console.table(console.client.get("agents", limit=limit, after=after), COLUMNS, "agents")


@client_command(group, "show")
def show(console: Console, agent: Agent) -> None:
    """Show an agent."""
    console.details(console.client.get("agents", agent_id(console.client, agent)), FIELDS)


@client_command(group, "create")
def create(
    console: Console,
    name: Annotated[str, typer.Argument(help="Its name, which no other agent of the tenant has.")],
    agent_url: Annotated[str | None, typer.Option(metavar="URL", help="http runtime: where it is called.")] = None,
    command: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="command runtime: a name in the operator's REVEILLE_COMMANDS."),
    ] = None,
    runtime: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Any runtime, as the API takes it.")
    ] = None,
    role: Annotated[str | None, typer.Option(help="What it is for; part of its context.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Such as Europe/Berlin; else the tenant's.")] = None,
    language: Annotated[str | None, typer.Option(help="Of its context: en or zh.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="30s|5m", help="How long firings are gathered into one wake.")
    ] = None,
) -> None:
    """Create an agent. The secret that signs calls to it is shown once."""
    body: dict[str, Any] = {
        "name": name,
        "runtime": _runtime(agent_url, command, runtime),
        "role_description": role,
        "timezone": timezone,
        "language": language,
        "dedup_delay_seconds": None if window is None else parse_duration("--window", window),
    }
    agent = console.client.post("agents", body={key: value for key, value in body.items() if value is not None})
    console.details(agent, FIELDS)
    if not console.as_json and isinstance(agent["runtime"].get("secret"), str):
        say("\nThe secret in it signs the calls to this agent. Keep it: it is not shown again.")


@client_command(group, "pause")
def pause(
    console: Console,
    agent: Agent,
    note: Annotated[str | None, typer.Option(help="Why, for whoever looks later.")] = None,
) -> None:
    """Hold an agent's wakes; firings are recorded and kept for it."""
    body = None if note is None else {"note": note}
    answer = console.client.post("agents", agent_id(console.client, agent), "pause", body=body)
    console.done(answer, f"Paused agent {answer['name']}.")


@client_command(group, "resume")
def resume(console: Console, agent: Agent) -> None:
    """Wake an agent again, with what came meanwhile."""
    answer = console.client.post("agents", agent_id(console.client, agent), "resume")
    console.done(answer, f"Resumed agent {answer['name']}.")


@client_command(group, "delete")
def delete(console: Console, agent: Agent, yes: Yes = False) -> None:
    """Delete an agent and its triggers, after a question."""
    found = console.client.get("agents", agent_id(console.client, agent))
    count = sum(1 for _ in console.client.every("triggers", agent_id=found["id"]))
    triggers = {0: "", 1: " and its trigger"}.get(count, f" and its {count} triggers")
    confirm(f"Delete agent {found['name']}{triggers}?", yes=yes)
    console.client.delete("agents", found["id"])
    console.done(None, f"Deleted agent {found['name']}{triggers}.")


def _runtime(agent_url: str | None, command: str | None, runtime: str | None) -> dict[str, Any]:
    if sum(given is not None for given in (agent_url, command, runtime)) != 1:
        raise UsageFault("Say how the agent is run by one of --agent-url, --command and --runtime.")
    if agent_url is not None:
        return {"kind": "http", "url": agent_url}
    if command is not None:
        return {"kind": "command", "name": command}
    return dict(read_json_object("--runtime", runtime))
