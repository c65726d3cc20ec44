"""The tools with which an agent creates, lists, changes and cancels its own triggers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from scheduler.domain.errors import Conflict, InvalidField
from scheduler.domain.local_time import shown_locally
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.manage.agents.rights import may_change
from scheduler.manage.agents.trigger_limits import DEFAULT_LIFE
from scheduler.manage.triggers.spec import MOST_OWN_FIRES, TriggerSpec
from scheduler.storage.agents import zone_of_agent
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.storage.read_models.triggers import TriggerView, find_own
from scheduler.toolbox.base import (
    ADDS,
    CHANGES,
    Arguments,
    Services,
    actor_of,
    make_tool,
    object_of,
    own_agent,
    shown_time,
)
from scheduler.toolbox.trigger_settings import CLEARED, in_own_zone, local_config, shown_settings, with_settings
from scheduler.triggers.preview import preview
from scheduler.triggers.tool_text import kinds_for_agents, names_for_agents
from scheduler.triggers.webhook import hook_url

MAX_SHOWN = 100
SET_TRIGGER = (
    "Set your own alarm clock: create a trigger that wakes you later. `type` and `config`:\n"
    f"{kinds_for_agents()}\n"
    "`reason` is what you read when it wakes you: say what to do then, with all that you need to know. "
    f"It expires after {DEFAULT_LIFE.days} days and {MOST_OWN_FIRES} fires unless you say less. "
    "The answer tells what time it is now, and when it fires, in your local time. "
    "It may have to be approved by a person first: then `approval` is `awaiting`."
)


Reference = Annotated[
    str, Field(min_length=1, max_length=200, description="The id or the name of one of your triggers.")
]
Config = Annotated[dict[str, Any], BeforeValidator(object_of), Field(description="Depends on its type.")]


class NewTrigger(Arguments):
    """A new trigger."""

    name: str = Field(min_length=1, max_length=200, description="A name, unique among your triggers.")
    type: str = Field(description=f"{names_for_agents()}.")
    config: Config = Field(default_factory=dict)


SetTrigger = with_settings("SetTrigger", NewTrigger, is_new=True)


class ListTriggers(Arguments):
    """Which triggers."""

    focus_ref: str | None = Field(None, description="Only those that belong to this subject.")
    only_enabled: bool = Field(False, description="Omit paused and ended triggers.")
    limit: int = Field(50, ge=1, le=MAX_SHOWN, description="The maximum number of results.")


class ChangedTrigger(Arguments):
    """The changes; omitted fields stay."""

    trigger: Reference
    name: str | None = Field(None, min_length=1, max_length=200, description="A new name.")
    config: Annotated[dict[str, Any] | None, BeforeValidator(object_of)] = Field(
        None, description="Merged into its config; null removes a member."
    )
    is_enabled: bool | None = Field(None, description="false pauses it, true resumes it from now, with 0 fires.")


UpdateTrigger = with_settings("UpdateTrigger", ChangedTrigger, is_new=False)


class CancelTrigger(Arguments):
    """Which trigger."""

    trigger: Reference


class PreviewTrigger(Arguments):
    """One of the agent's triggers, or a type and a config that need not exist yet."""

    trigger: str | None = Field(None, description="The id or the name of one of your triggers.")
    type: str | None = Field(None, description=f"Instead of `trigger`: {names_for_agents(timed=True)}.")
    config: Config = Field(default_factory=dict)
    timezone: str | None = Field(None, description="For example Europe/Berlin; default: yours.")
    count: int = Field(5, ge=1, le=MAX_SHOWN, description="How many fire times.")


class TriggerTools:
    """The tools for an agent's own triggers; they reach neither other agents' triggers nor system triggers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._db = services.db
        self._triggers = services.triggers

    def set_trigger(self, caller: ToolCaller, asked: NewTrigger) -> dict[str, Any]:
        """Creates a trigger."""
        zone, now = self._clock_of(caller)
        given = in_own_zone(dict(asked), zone) | {"config": local_config(asked.type, asked.config, zone)}
        spec = TriggerSpec(**given)
        with _hints():
            made = self._triggers.create(
                caller.tenant_id, caller.agent_id, spec, actor=actor_of(caller), by_agent=True
            )
        shown = show(made.trigger) | {"now": shown_locally(now, made.trigger.timezone)}
        if made.hook_token is not None:
            shown["hook_url"] = hook_url(self._services.base_url, made.hook_token)
        return shown

    def list_triggers(self, caller: ToolCaller, asked: ListTriggers) -> dict[str, Any]:
        """Lists the agent's triggers."""
        found = self._triggers.list(
            caller.tenant_id, TriggerFilter(caller.agent_id, focus_ref=asked.focus_ref), limit=MAX_SHOWN + 1
        )
        wanted = [each for each in found if not each.is_system and (each.is_enabled or not asked.only_enabled)]
        return {
            "triggers": [show(each) for each in wanted[: asked.limit]],
            "more": len(wanted) > asked.limit or len(found) > MAX_SHOWN,
        }

    def update_trigger(self, caller: ToolCaller, asked: ChangedTrigger) -> dict[str, Any]:
        """Changes the given fields; null clears fields that may be empty."""
        given = {name: getattr(asked, name) for name in asked.model_fields_set - {"trigger"}}
        patch = {name: value for name, value in given.items() if value is not None or name in CLEARED}
        if not patch:
            raise InvalidField("Nothing was changed: give at least one field besides trigger.")
        found = self._own(caller, asked.trigger)
        zone, now = self._clock_of(caller)
        patch = in_own_zone(patch, zone)
        if "config" in patch:
            patch["config"] = local_config(found.type, patch["config"], zone)
        with _hints():
            return {"now": shown_locally(now, found.timezone)} | show(
                self._triggers.update(caller.tenant_id, found.id, patch, actor=actor_of(caller), by_agent=True)
            )

    def cancel_trigger(self, caller: ToolCaller, asked: CancelTrigger) -> dict[str, Any]:
        """Deletes a trigger."""
        found = self._own(caller, asked.trigger)
        self._triggers.delete(caller.tenant_id, found.id, actor=actor_of(caller), by_agent=True)
        return {"cancelled": str(found.id), "name": found.name}

    def preview_trigger(self, caller: ToolCaller, asked: PreviewTrigger) -> dict[str, Any]:
        """Returns the next fire times of a trigger, or of one that need not exist."""
        if (asked.trigger is None) == (asked.type is None):
            raise InvalidField("Give either trigger, or type and config.", field="trigger")
        if asked.trigger is not None:
            found = self._own(caller, asked.trigger)
            return asdict(self._triggers.preview(caller.tenant_id, found.id, asked.count))
        own_zone, now = self._clock_of(caller)
        zone = asked.timezone or own_zone
        config = local_config(asked.type or "", asked.config, zone)
        return asdict(preview(asked.type or "", config, zone=zone, after=now, count=asked.count, naive_ok=False))

    def _clock_of(self, caller: ToolCaller) -> tuple[str, datetime]:
        """Returns the agent's zone and the current time."""
        with self._db.begin() as conn:
            own_agent(conn, caller)
            return zone_of_agent(conn, caller.agent_id), self._services.clock.now()

    def _own(self, caller: ToolCaller, reference: str) -> TriggerView:
        with self._db.begin() as conn:
            own_agent(conn, caller)
            return find_own(conn, caller.agent_id, reference)


def trigger_tools(services: Services) -> Sequence[Tool]:
    """Returns the tools for an agent's own triggers."""
    tools = TriggerTools(services)
    return (
        make_tool("set_trigger", SET_TRIGGER, SetTrigger, tools.set_trigger, hints=ADDS),
        make_tool(
            "list_triggers",
            "List your triggers, newest first, and when each fires next.",
            ListTriggers,
            tools.list_triggers,
        ),
        make_tool(
            "update_trigger",
            "Change one of your triggers, pause it (is_enabled false) or resume it (true).",
            UpdateTrigger,
            tools.update_trigger,
            hints=CHANGES,
        ),
        make_tool(
            "cancel_trigger",
            "Delete one of your triggers for good, for example when its subject is settled.",
            CancelTrigger,
            tools.cancel_trigger,
            hints=CHANGES,
        ),
        make_tool(
            "preview_trigger",
            "Show when a trigger fires next, in local time, before or after you create it.",
            PreviewTrigger,
            tools.preview_trigger,
        ),
    )


def show(trigger: TriggerView) -> dict[str, Any]:
    """Formats a trigger for an agent."""
    return {
        "id": str(trigger.id),
        "name": trigger.name,
        "type": trigger.type,
        "config": trigger.config,
        "timezone": trigger.timezone,
        "is_enabled": trigger.is_enabled,
        "paused_note": trigger.paused_note,
        "is_yours_to_change": may_change(trigger),
        "approval": trigger.approval,
        "next_fire_at": shown_time(trigger.next_fire_at),
        "next_fire_at_local": shown_locally(trigger.next_fire_at, trigger.timezone),
        "fire_count": trigger.fire_count,
        **shown_settings(trigger),
    }


HINTS = {
    "name": " Choose another name, or change that one with update_trigger.",
    "max_triggers": " Use list_triggers, and cancel_trigger for what you no longer need.",
    "approval": " You cannot enable it yourself: continue without it.",
}
"""What an agent can do about an error written for callers of the API, by its field."""


@contextmanager
def _hints() -> Iterator[None]:
    try:
        yield
    except Conflict as refusal:
        raise Conflict(refusal.message + HINTS.get(refusal.field or "", ""), field=refusal.field) from None
