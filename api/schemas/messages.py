"""Conversations: users, their sessions with agents, and the messages in them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from api.schemas.base import Answer, Listed, Name, Searched, SpanPage, Time, id_of
from scheduler.domain.llm import CallState
from scheduler.domain.shapes import Shape
from scheduler.intake.messages.intake import MAX_TEXT
from scheduler.triggers.on_message import ChannelName

BodyId = Annotated[UUID, Field(strict=False)]
OwnChannel = "trigger"
"""The channel of reflections, which nobody can write to."""


def _open_to_all(channel: str) -> str:
    if channel == OwnChannel:
        raise ValueError(f"the channel {OwnChannel!r} is the system's own")
    return channel


Channel = Annotated[ChannelName, AfterValidator(_open_to_all)]
Said = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class SenderIn(Shape):
    """The sender: a user or an agent of the tenant, by its id or exact name."""

    type: Literal["user", "agent"]
    id: BodyId | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> SenderIn:
        if (self.id is None) == (self.name is None):
            raise ValueError("give one of id and name")
        return self

    @property
    def reference(self) -> str:
        """The id or the name."""
        return self.name or str(self.id)


class MessageIn(Shape):
    """A message to an agent. An agent's own key omits `from`: it writes as itself."""

    sender: SenderIn | None = Field(None, alias="from")
    to_agent_id: BodyId
    text: Said
    channel: Channel | None = Field(None, description="Default: `web` for a user, `agent` for an agent.")
    session_id: BodyId | None = Field(None, description="Default: the usual session of the two on this channel.")
    event_id: ExternalId | None = Field(
        None,
        description="The sender's id for the message to this agent on this channel: a repeat is accepted "
        "once; with another text it is refused (409).",
    )


class ReceivedOut(Answer):
    """The result of a message. A `duplicate` was sent before, according to its `event_id` or Idempotency-Key."""

    id: UUID
    session_id: UUID
    duplicate: bool
    firing_ids: list[UUID] = Field(description="The firings that it caused immediately.")


class MessageOut(Answer):
    """A message with its text cut at 2,000 characters; `length` is the original length.

    `role`: `user`, `assistant` (the agent to its user), `tool_call`, whose text is the tool's result and whose
    `tool_state` is `running`, `done`, `failed` or `interrupted`, or `note`: information for people about a run
    that the agent did not write, such as an unavailable MCP server. A `from_type` of `system` is a note or the
    context of a run.
    """

    id: UUID
    session_id: UUID
    role: str
    from_type: str
    from_id: UUID
    to_agent_id: UUID | None
    channel: str
    text: str
    length: int
    root_id: UUID | None
    depth: int
    tool_name: str | None
    tool_arguments: str | None
    tool_state: str | None
    ended_at: Time | None
    created_at: Time


class MessageWhole(MessageOut):
    """A message with its whole text."""


class MessagePage(Listed[MessageOut]):
    """A page of messages."""


class MessagePath(Shape):
    """Identifies a message."""

    message_id: Annotated[UUID, id_of("message")]


class SessionOut(Answer):
    """A conversation of an agent with a user or with another agent; `is_reflection`: with itself."""

    id: UUID
    agent_id: UUID
    user_id: UUID | None
    peer_agent_id: UUID | None
    channel: str
    thread: str
    title: str
    is_reflection: bool
    invocation_id: UUID | None
    created_at: Time


class SessionPage(Listed[SessionOut]):
    """A page of sessions."""


class SessionQuery(SpanPage):
    """Filters sessions; `from` and `to` are when they started."""

    agent_id: UUID | None = None
    user_id: UUID | None = None
    channel: ChannelName | None = None


class MessageQuery(SpanPage):
    """Filters a session's messages; `from` and `to` are when they were written."""

    text: Searched | None = None
    tool_state: CallState | None = None


class SessionPath(Shape):
    """Identifies a session."""

    session_id: Annotated[UUID, id_of("session")]


class UserIn(Shape):
    """A person who writes to agents. `external_ids`: the person's ids on channels, e.g. `{"slack": "U012"}`."""

    name: Name
    display_name: Name | None = None
    external_ids: dict[ChannelName, ExternalId] = Field(default_factory=dict, max_length=20)


class UserOut(Answer):
    """A user."""

    id: UUID
    tenant_id: UUID
    name: str
    display_name: str
    external_ids: dict[str, str]
    created_at: Time


class UserPage(Listed[UserOut]):
    """A page of users."""


class UserPath(Shape):
    """Identifies a user."""

    user_id: Annotated[UUID, id_of("user")]


class WakeIn(Shape):
    """A call of an agent. `from_agent_id`: another agent calls, within the limits on agents."""

    message: Said
    from_agent_id: BodyId | None = None
    skip_dedup: bool = Field(False, description="The agent's window closes now.")
