"""`reveille agents`: manages agents."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scheduler.commands import refs
from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.edits import Resource, edited, shown
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id
from scheduler.commands.output import Columns, say, show_json
from scheduler.commands.trigger_options import (
    fields_of,
    implied,
    options_of_runtimes,
    parse_duration,
    put_options,
    read_json_object,
    with_options,
)


class _Group(TyperGroup):
    """The group. Its command `create` is built on demand, as it has the options of all runtimes."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Lists `create` after the commands that read."""
        names = super().list_commands(ctx)
        return [*names[:2], "create", *names[2:]]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns a command by its name."""
        return _create() if cmd_name == "create" else super().get_command(ctx, cmd_name)


group = typer.Typer(help="Manage agents.", cls=_Group)

COLUMNS: Columns = (
    ("ID", "id"),
    ("NAME", "name"),
    ("RUNTIME", "runtime.kind"),
    ("ZONE", "timezone"),
    ("PAUSED", "is_paused"),
)
PRESET_COLUMNS: Columns = (("PRESET", "name"), ("PRODUCT", "label"), ("NEEDS", "needs"), ("SUMMARY", "summary"))
FIELDS: Columns = (
    ("id", "id"),
    ("name", "name"),
    ("runtime", "runtime"),
    ("role", "role_description"),
    ("zone", "timezone"),
    ("language", "language"),
    ("window, seconds", "dedup_delay_seconds"),
    ("maximum firings per wake", "max_batch"),
    ("time for a run, seconds", "timeout_seconds"),
    ("maximum triggers", "max_triggers"),
    ("maximum tokens per day", "max_tokens_per_day"),
    ("maximum invocations per hour", "max_invocations_per_hour"),
    ("paused", "is_paused"),
    ("note", "paused_note"),
    ("alert when not woken for, seconds", "expect_wake_within"),
    ("MCP servers", "mcp_servers"),
    ("its triggers need approval", "approve_triggers"),
    ("expires", "expires_at"),
    ("created", "created_at"),
    ("changed", "updated_at"),
)

AGENT = Resource("agent", "agents", refs.Agent, agent_id, FIELDS, COLUMNS)
ONCE = "The secret in it signs the calls to this agent. Keep it: it is not shown again."


def _new_secret(agent: Mapping[str, Any]) -> str | None:
    return ONCE if isinstance(agent["runtime"].get("secret"), str) else None


@client_command(group, "list")
def list_agents(console: Console, limit: Limit = 50, after: After = None) -> None:
    """List agents."""
    console.listing(("agents",), COLUMNS, "agents", limit=limit, after=after)


shown(group, AGENT)


def create(
    console: Console,
    name: Annotated[str, typer.Argument(help="Its name, unique within the tenant.")],
    runtime: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="Any runtime, as JSON for the API.")
    ] = None,
    role: Annotated[str | None, typer.Option(help="Its purpose, which is part of its context.")] = None,
    timezone: Annotated[str | None, typer.Option(help="For example Europe/Berlin; default: the tenant's.")] = None,
    language: Annotated[str | None, typer.Option(help="The language of its context: en or zh.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="30s|5m", help="How long firings are gathered into one wake.")
    ] = None,
    given: refs.Set = None,
    *,
    own: Mapping[str, Any],
) -> None:
    """Create an agent. The secret that signs calls to it is shown once."""
    run = _runtime(runtime, own)
    body: dict[str, Any] = {
        "name": name,
        "runtime": run,
        "role_description": role,
        "timezone": timezone,
        "language": language,
        "dedup_delay_seconds": None if window is None else parse_duration("--window", window),
    }
    if runtime is None:
        console.client.options |= fields_of(options_of_runtimes().get(run["kind"], ()), own, "runtime.")
    whole = refs.put_fields({key: value for key, value in body.items() if value is not None}, given)
    agent = console.client.post("agents", body=whole)
    console.details(agent, FIELDS)
    if not console.as_json and _new_secret(agent):
        say(f"\n{ONCE}")


edited(group, AGENT, _new_secret)


@client_command(group, "presets")
def list_presets(console: Console) -> None:
    """List the products that have a preset.

    With --json also their parameters.
    """
    answer = console.client.get("runtimes")
    if console.as_json:
        show_json(answer)
        return
    found = [each for runtime in answer["items"] for each in runtime["presets"]]
    for each in found:
        needed = [parameter["name"] for parameter in each["parameters"] if parameter["default"] is None]
        each["needs"] = ", ".join(["token"] * each["needs_token"] + needed) or "-"
    console.rows(found, PRESET_COLUMNS, empty="There are no presets.")


@client_command(group, "pause")
def pause(
    console: Console,
    agent: refs.Agent,
    note: Annotated[str | None, typer.Option(help="The reason, shown to others.")] = None,
) -> None:
    """Pause an agent; its firings are recorded and kept."""
    body = None if note is None else {"note": note}
    answer = console.client.post("agents", agent_id(console.client, agent), "pause", body=body)
    console.done(answer, f"Paused agent {answer['name']}.")


@client_command(group, "resume")
def resume(console: Console, agent: refs.Agent) -> None:
    """Resume an agent and deliver what came meanwhile."""
    answer = console.client.post("agents", agent_id(console.client, agent), "resume")
    console.done(answer, f"Resumed agent {answer['name']}.")


@client_command(group, "delete")
def delete(console: Console, agent: refs.Agent, yes: Yes = False) -> None:
    """Delete an agent and its triggers, after confirmation."""
    found = console.client.get("agents", agent_id(console.client, agent))
    count = sum(1 for _ in console.client.every("triggers", agent_id=found["id"]))
    triggers = {0: "", 1: " and its trigger"}.get(count, f" and its {count} triggers")
    confirm(f"Delete agent {found['name']}{triggers}?", yes=yes)
    console.client.delete("agents", found["id"])
    console.done(None, f"Deleted agent {found['name']}{triggers}.")


def _runtime(runtime: str | None, own: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the runtime given by `--runtime` and the runtimes' options."""
    whole = dict(read_json_object("--runtime", runtime))
    kinds = options_of_runtimes()
    kind = whole.get("kind") or implied(own, kinds)
    if runtime is None and kind is None:
        flags = ", ".join(option.flag for options in kinds.values() for option in options if option.implies)
        raise UsageFault(f"Choose how the agent is run with one of {flags} and --runtime.")
    return put_options({"kind": kind, **whole} if kind else whole, str(kind), own, kinds)


@cache
def _create() -> Any:
    """Builds the command that creates agents, with the options that the runtimes declare."""
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    fields = {"role_description": "--role", "dedup_delay_seconds": "--window (in seconds)"}
    client_command(alone, "create", fields)(with_options(create, options_of_runtimes()))
    return typer.main.get_command(alone)
