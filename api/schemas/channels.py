"""Channels, through which people on a chat provider reach an agent. `secrets` are checked by the channel's kind."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import Answer, Listed, Name, Time, id_of, no_defaults
from scheduler.channels.registry import KINDS
from scheduler.domain.shapes import Shape

Secrets = Annotated[
    dict[str, str | None],
    Field(description='Depends on its kind, e.g. {"signing_secret": "…"}; see docs/channels.md.', repr=False),
]
Kind = Annotated[str, StringConstraints(max_length=50), Field(examples=list(KINDS))]


class ChannelSettings(Shape):
    """The settings that can be given at creation and changed later."""

    bot_user_id: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")] | None = (
        Field(None, description="The provider's id of the app's own user, whose messages are ignored.")
    )
    is_enabled: bool = True


class ChannelIn(ChannelSettings):
    """A new channel."""

    name: Name
    kind: Kind
    agent_id: Annotated[UUID, Field(strict=False)]
    secrets: Secrets


class ChannelPatch(ChannelSettings):
    """JSON Merge Patch (RFC 7396), `secrets` included: omitted fields stay."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    name: Name = ""
    kind: Kind = Field("", description="May be sent unchanged, but not changed.")
    agent_id: Annotated[UUID, Field(strict=False)] = UUID(int=0)
    secrets: Secrets = Field(default_factory=dict)


class ChannelOut(Answer):
    """A channel without its secrets. `note`: why a recent event produced no message, and when."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    kind: str
    name: str
    bot_user_id: str | None
    is_enabled: bool
    events_url: str = Field(description="The address to configure at the provider for its events.")
    note: str | None
    noted_at: Time | None
    created_at: Time
    updated_at: Time


class ChannelPage(Listed[ChannelOut]):
    """A page of channels."""


class ChannelPath(Shape):
    """Identifies a channel."""

    channel_id: Annotated[UUID, id_of("channel")]
