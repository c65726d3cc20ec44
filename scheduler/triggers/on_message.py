"""on_message: a person or another agent sends a message, which fires when it comes in.

The native job only looks for messages that came in while the trigger was not visible, e.g. while it was being
created.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from scheduler.domain.bounded_regex import TextMatch
from scheduler.domain.errors import InvalidField
from scheduler.domain.schedule import Schedule
from scheduler.triggers.base import CheckContext, TriggerConfig
from scheduler.triggers.interval import IntervalSchedule
from scheduler.triggers.options import Option

Reference = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,50}$")]

MAX_INTERVAL = 300
"""In seconds; well below the ten minutes that a check looks back."""


class OnMessageConfig(TriggerConfig):
    """`{"from_agent": "ada"}` or `{"from_user": "grace", "channels": ["slack"], "text_match": {"contains": "!"}}`.

    Both names may be ids, and are stored as ids.
    """

    kind: ClassVar = "on_message"
    label: ClassVar = "Message"
    summary: ClassVar = "When a person or another agent sends a message."
    for_agents: ClassVar = (
        '{"from_agent": NAME} or {"from_user": NAME}, "text_match"?: {"contains": "…"}: when somebody writes to you'
    )  # fmt: skip
    icon: ClassVar = "M-5.5-4.5h11v7h-5L-3.5 5.5v-3h-2Z"
    keeps_pace: ClassVar = False
    options: ClassVar = (
        Option("--from-user", "from_user", "Messages of this user: an id or a name.", metavar="USER"),
        Option("--from-agent", "from_agent", "Messages of this agent: an id or a name.", metavar="AGENT"),
        Option(
            "--any-session",
            "any_session",
            "In any session, not only those with this agent.",
            "flag",
            implies=False,
        ),
    )
    docs: ClassVar = "docs/triggers/on_message.md"
    checked_by: ClassVar = "scheduler.intake.messages.firings:check_messages"
    forgets_while_paused: ClassVar = True
    main_fields: ClassVar = ("from_agent", "from_user", "text_match")

    from_agent: Reference | None = Field(
        default=None, title="From agent", description="Name or ID. Alternatively, choose a user."
    )
    from_user: Reference | None = Field(default=None, title="From user", description="Name or ID.")
    channels: list[ChannelName] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        title="Channels",
        description="For example web, slack, telegram; empty: all.",
    )
    session_id: Reference | None = Field(
        default=None, title="Session", description="Only in the session with this id."
    )
    text_match: TextMatch | None = Field(default=None, title="Text match")
    any_session: bool = Field(
        default=False, title="Any session", description="In any session, not only those with this agent."
    )
    interval_seconds: float = Field(
        default=15.0,
        ge=5,
        le=MAX_INTERVAL,
        allow_inf_nan=False,
        title="Check interval (seconds)",
        description="How often it checks for messages that arrived while it was being created; others "
        "fire immediately.",
    )

    @model_validator(mode="after")
    def _one_sender(self) -> OnMessageConfig:
        if (self.from_agent is None) == (self.from_user is None):
            raise ValueError("give one of from_agent and from_user")
        if self.any_session and self.from_user is not None:
            raise ValueError("any_session requires from_agent: an agent only sees users' messages to itself")
        if self.any_session and self.session_id is not None:
            raise ValueError("give any_session or session_id, not both")
        return self

    def resolved(self, context: CheckContext) -> Mapping[str, Any]:
        """Returns the config with ids for sender and session.

        Raises InvalidField for what the tenant does not have.
        """
        named = {"from_agent": self.from_agent, "from_user": self.from_user, "session_id": self.session_id}
        ids = {field: context.find(field, given) for field, given in named.items() if given is not None}
        if ids.get("from_agent") == str(context.agent_id):
            raise InvalidField("An agent is not woken by its own messages.", field="from_agent")
        return ids

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Returns when to check; independent of zones."""
        return IntervalSchedule(anchor, self.step())

    def step(self) -> timedelta:
        """Returns the time between two checks."""
        return timedelta(seconds=self.interval_seconds)
