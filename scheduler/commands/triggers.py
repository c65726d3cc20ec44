"""`reveille triggers`: manages triggers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from scheduler.commands import refs
from scheduler.commands import trigger_options as given
from scheduler.commands.console import After, Console, Limit, Yes, client_command, confirm
from scheduler.commands.edits import Resource, edited, shown
from scheduler.commands.exits import UsageFault
from scheduler.commands.lookup import agent_id, trigger_id
from scheduler.commands.output import Columns, say, show_json, show_table
from scheduler.commands.trigger_actions import referenced, try_now


class _Group(TyperGroup):
    """The group. Its commands with options of kinds are built on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Lists `add` first."""
        return [*WITH_KIND_OPTIONS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Returns a command by its name."""
        return _made(cmd_name) if cmd_name in WITH_KIND_OPTIONS else super().get_command(ctx, cmd_name)


group = typer.Typer(help="Manage triggers, which wake agents.", cls=_Group)

COLUMNS: Columns = (
    ("ID", "id"),
    ("AGENT/NAME", "reference"),
    ("TYPE", "type"),
    ("ENABLED", "is_enabled"),
    ("NEXT", "next_fire_at"),
    ("FIRED", "fire_count"),
    ("LAST", "last_fired_at"),
)
BEFORE: Columns = (
    ("id", "id"),
    ("agent", "agent_id"),
    ("name", "name"),
    ("type", "type"),
    ("config", "config"),
    ("zone", "timezone"),
    ("enabled", "is_enabled"),
    ("note", "paused_note"),
    ("next", "next_fire_at"),
    ("fired", "fire_count"),
    ("last", "last_fired_at"),
)
AFTER: Columns = (("created", "created_at"), ("hook", "hook_url"))


def shown_fields(trigger: Mapping[str, Any]) -> Columns:
    """Returns what is shown of a trigger: also each field that every trigger has, if it matters to this one."""
    from scheduler.manage.triggers.spec import settable_fields

    useless = set()
    if not given.fires_by_the_clock(trigger["type"]):
        useless |= {"misfire_policy", "grace_seconds"}
    elif trigger["misfire_policy"] != "skip":
        useless.add("grace_seconds")
    if trigger["expect_within"] is None:
        useless.add("expect")
    common = (
        (each.setting.label or each.name.replace("_", " "), each.name)
        for each in settable_fields()
        if each.name not in useless
    )
    return (*BEFORE, *common, *AFTER)


TRIGGER = Resource("trigger", "triggers", refs.Trigger, trigger_id, shown_fields)


def add(
    console: Console,
    agent: refs.Agent,
    name: Annotated[
        str | None, typer.Option(help="Unique for the agent; default: its schedule, or its type.")
    ] = None,
    kind: given.Type = None,
    config: given.ConfigJson = None,
    *,
    own: Mapping[str, Any],
) -> None:
    """Add a trigger to an agent.

    Such as: triggers add AGENT --every 20s --reason "Look at the queue."
    """
    kinds, common = given.options_of_kinds(), {"any trigger": given.options_of_all_triggers()}
    flags = {option.flag for option in common["any trigger"]}
    of_kind = {flag: value for flag, value in own.items() if flag not in flags}
    kind_name, shape = given.shape(kind, config, of_kind, kinds)
    given.name_options(console, kind_name, config, own)
    console.client.options |= given.fields_of(common["any trigger"], own)
    body: dict[str, Any] = {
        "name": name or given.default_name(kind_name, shape, of_kind, kinds),
        "type": kind_name,
        "config": shape,
        "cooldown_seconds": given.default_cooldown(kind_name, shape),
    }
    of_all = {flag: value for flag, value in own.items() if flag in flags}
    given.put_options(body, "any trigger", of_all, common)
    path = ("agents", agent_id(console.client, agent), "triggers")
    trigger = console.client.post(*path, body={key: value for key, value in body.items() if value is not None})
    console.details(trigger, shown_fields(trigger))
    if not console.as_json and given.fires_by_the_clock(trigger["type"]):
        _say_pace(console, trigger, chosen="--cooldown" in own)
    if not console.as_json and trigger["hook_url"]:
        say("\nSave the webhook's address: it is not shown again. Anyone who knows it can wake the agent.")


@client_command(group, "list")
def list_triggers(
    console: Console,
    agent: refs.AgentOrNone = None,
    of_agent: refs.OfAgent = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Only those.")] = None,
    focus: Annotated[str | None, typer.Option(help="Only of this focus.")] = None,
    text: refs.Search = None,
    limit: Limit = 50,
    after: After = None,
) -> None:
    """List the triggers of one agent or of all."""
    if agent is not None and of_agent is not None:
        raise UsageFault("The agent was given twice.")
    agent = agent or of_agent
    console.listing(
        ("triggers",),
        COLUMNS,
        "triggers",
        limit=limit,
        after=after,
        named=lambda items: referenced(console, items),
        query={
            "agent_id": None if agent is None else agent_id(console.client, agent),
            "type": kind,
            "is_enabled": None if enabled is None else str(enabled).lower(),
            "focus_ref": focus,
            "text": text,
        },
    )


shown(group, TRIGGER)
edited(group, TRIGGER)


@client_command(group, "pause")
def pause(
    console: Console,
    trigger: refs.Trigger,
    note: Annotated[str | None, typer.Option(help="The reason, shown to others.")] = None,
) -> None:
    """Pause a trigger."""
    body = None if note is None else {"note": note}
    answer = console.client.post("triggers", trigger_id(console.client, trigger), "pause", body=body)
    console.done(answer, f"Paused trigger {answer['name']}.")


@client_command(group, "resume")
def resume(console: Console, trigger: refs.Trigger) -> None:
    """Resume a trigger from now on."""
    answer = console.client.post("triggers", trigger_id(console.client, trigger), "resume")
    next_at = answer["next_fire_at"]
    following = f" It fires next at {console.view.time(next_at)}." if next_at else ""
    console.done(answer, f"Resumed trigger {answer['name']}.{following}")


@client_command(group, "fire")
def fire(console: Console, trigger: refs.Trigger, once_key: refs.IdempotencyKey = None) -> None:
    """Fire a trigger now."""
    path = ("triggers", trigger_id(console.client, trigger), "fire")
    answer = console.client.post(*path, idempotency_key=once_key)
    before = " before" if answer["duplicate"] else ""
    console.done(answer, f"Fired{before}: firing {answer['firing_id']}, in invocation {answer['invocation_id']}.")


def preview(
    console: Console,
    trigger: refs.TriggerOrNone = None,
    count: Annotated[int, typer.Option(min=1, max=100, help="How many times to show.")] = 10,
    kind: given.Type = None,
    config: given.ConfigJson = None,
    after: Annotated[str | None, typer.Option(help="Start from this time (ISO 8601); default: now.")] = None,
    *,
    own: Mapping[str, Any],
) -> None:
    """Show when a trigger fires, or would fire with these options."""
    if trigger is not None:
        if own or any(each is not None for each in (kind, config, after)):
            raise UsageFault("Pass a trigger or the options of one, not both.")
        answer = console.client.get("triggers", trigger_id(console.client, trigger), "preview", count=count)
    else:
        timezone = own.get("--timezone")
        asked = {flag: value for flag, value in own.items() if flag != "--timezone"}
        kind_name, shape = given.shape(kind, config, asked, given.options_of_kinds())
        given.name_options(console, kind_name, config, own)
        console.client.options["timezone"] = "--timezone"
        body = {"type": kind_name, "config": shape, "timezone": timezone, "after": after, "count": count}
        answer = console.client.post("triggers", "preview", body=body)
    _show_preview(console, answer)


@client_command(group, "rm")
def remove(console: Console, trigger: refs.Trigger, yes: Yes = False) -> None:
    """Delete a trigger, after confirmation.

    What has already fired is still delivered.
    """
    chosen = trigger_id(console.client, trigger)
    confirm(f"Delete trigger {trigger}?", yes=yes)
    console.client.delete("triggers", chosen)
    console.done(None, f"Deleted trigger {trigger}.")


def _say_pace(console: Console, trigger: Mapping[str, Any], *, chosen: bool) -> None:
    """Reports when the cooldown makes the trigger wake less often than it fires, or was shortened for it."""
    cooldown = trigger["cooldown_seconds"]
    answer = console.client.get("triggers", str(trigger["id"]), "preview", count=3)
    times = [datetime.fromisoformat(at) for at in answer["fire_times"]]
    step = min(((after - at).total_seconds() for at, after in pairwise(times)), default=None)
    if step is not None and step < cooldown:
        say(
            f"\nIt fires every {step:g} s, but its cooldown wakes the agent at most every {cooldown:g} s; the firings "
            f"in between are batched. To wake the agent each time: --cooldown {step:g}s"
        )
    elif step is not None and not chosen and cooldown < given.DEFAULT_COOLDOWN:
        say(f"\nIts cooldown is {cooldown:g} s, to match its interval, instead of {given.DEFAULT_COOLDOWN:g} s.")


def _show_preview(console: Console, answer: dict[str, Any]) -> None:
    if console.as_json:
        show_json(answer)
        return
    show_table(
        [{"fires": at} for at in answer["fire_times"]],
        (("FIRES AT", "fires"),),
        empty="It does not fire by itself.",
    )
    for note in answer["notes"]:
        say(f"{note['at']} ({note['kind']}): {note['text']}")


WITH_KIND_OPTIONS: dict[str, Callable[..., None]] = {"add": add, "preview": preview, "try": try_now}


@cache
def _made(name: str) -> Any:
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    common = given.options_of_all_triggers() if name == "add" else ()
    client_command(alone, name)(given.with_options(WITH_KIND_OPTIONS[name], given.options_of_kinds(), common))
    return get_command(alone)
