"""Decides what an agent may do with a trigger: it may change its own, and read and fire those of people.

Only a person resumes what a person paused. Every interface for agents uses this: the API with an agent's key, MCP,
the tools of `llm` agents, A2A.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from scheduler.domain.errors import Forbidden

AGENT_PREFIX = "agent:"


class TriggerRights(Protocol):
    """The fields of a trigger, from a row or a view, that its permissions depend on."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def agent_id(self) -> UUID:
        """The agent it wakes."""

    @property
    def created_by(self) -> str:
        """Who created it."""

    @property
    def is_system(self) -> bool:
        """Whether the system created it."""

    @property
    def managed_by_agent(self) -> bool:
        """Whether a person allowed the agent to change it."""

    @property
    def paused_by(self) -> str | None:
        """Who paused it."""


def agent_actor(agent_id: UUID) -> str:
    """Returns the name of an agent as creator or as the one who paused a trigger."""
    return f"{AGENT_PREFIX}{agent_id}"


def stopped_by_person(trigger: TriggerRights) -> bool:
    """Whether a person paused it, so that its agent may not resume it."""
    return trigger.paused_by is not None and not trigger.paused_by.startswith(AGENT_PREFIX)


def is_own(trigger: TriggerRights) -> bool:
    """Whether the agent created it, or a person allowed the agent to change it."""
    return trigger.managed_by_agent or trigger.created_by == agent_actor(trigger.agent_id)


def may_change(trigger: TriggerRights) -> bool:
    """Whether the agent may change, pause, resume, rotate and delete it."""
    if trigger.is_system or stopped_by_person(trigger):
        return False
    return is_own(trigger)


def check_may_change(trigger: TriggerRights) -> None:
    """Raises Forbidden with the reason when the agent may not change a trigger."""
    if may_change(trigger):
        return
    if trigger.is_system:
        raise Forbidden("An agent cannot change a system trigger.")
    if stopped_by_person(trigger):
        raise Forbidden(
            f"A person paused the trigger {trigger.name!r}, and only a person can resume it; until then its "
            "agent cannot change or delete it."
        )
    raise Forbidden(
        f"A person created the trigger {trigger.name!r}: its agent may read and fire it, but not change it. A person "
        "can allow that by setting managed_by_agent on the trigger."
    )


def check_may_grant(*, managed_by_agent: bool) -> None:
    """Raises Forbidden when an agent gives itself the right to change a trigger."""
    if managed_by_agent:
        raise Forbidden("Only a person can set managed_by_agent; an agent can change its own triggers anyway.")


def check_may_try(*, approve_triggers: bool, is_approved: bool = False) -> None:
    """Raises Forbidden when an agent tries an address for which a trigger would need approval."""
    if approve_triggers and not is_approved:
        raise Forbidden(
            "A person must approve this agent's triggers before they make requests, and so before a "
            "trial: create the poll, and try it after the approval."
        )
