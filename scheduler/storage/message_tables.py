"""The tables of conversations: people, channels, sessions, messages, and the wakes between agents."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.base import NOW, Base

NOBODY = text("'{}'::uuid[]")


class User(Base):
    """A person who writes to agents."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_tenant_name", "tenant_id", "name", unique=True),
        Index("ix_users_tenant", "tenant_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    name: Mapped[str]
    display_name: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class UserAccount(Base):
    """Who a user is on a channel: the provider's own id of the person."""

    __tablename__ = "user_accounts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class Session(Base):
    """A conversation of an agent with a user or with another agent; a reflection is one with itself."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index(
            "uq_sessions_user",
            "agent_id",
            "user_id",
            "channel",
            "thread",
            unique=True,
            postgresql_where=text("user_id IS NOT NULL AND NOT is_reflection"),
        ),
        Index(
            "uq_sessions_peer",
            "agent_id",
            "peer_agent_id",
            "channel",
            "thread",
            unique=True,
            postgresql_where=text("peer_agent_id IS NOT NULL AND NOT is_reflection"),
        ),
        Index("ix_sessions_tenant", "tenant_id", "id"),
        Index("ix_sessions_agent", "agent_id", "id"),
        Index("ix_sessions_peer", "peer_agent_id", "id", postgresql_where=text("peer_agent_id IS NOT NULL")),
        Index(
            "uq_sessions_invocation",
            "invocation_id",
            unique=True,
            postgresql_where=text("invocation_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    user_id: Mapped[UUID | None]
    peer_agent_id: Mapped[UUID | None]
    channel: Mapped[str]
    thread: Mapped[str] = mapped_column(server_default="")
    """Tells one conversation of the same two on a channel from another, e.g. a provider's thread id."""
    title: Mapped[str] = mapped_column(server_default="")
    is_reflection: Mapped[bool] = mapped_column(server_default=text("false"))
    invocation_id: Mapped[UUID | None]
    """Of a reflection: the run that it tells of."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Message(Base):
    """One entry of a session. `created_at` is set before commit: a later one may be seen earlier."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_sender", "from_id", "created_at"),
        Index("ix_messages_receiver", "to_agent_id", "from_id", "created_at"),
        Index("ix_messages_session", "session_id", "id"),
        Index("ix_messages_age", "created_at", postgresql_using="brin"),
        Index("ix_messages_people", "to_agent_id", "created_at", postgresql_where=text("from_type = 'user'")),
        Index(
            "uq_messages_sender_event",
            "tenant_id",
            "from_id",
            "channel",
            "to_agent_id",
            "event_id",
            unique=True,
            postgresql_where=text("event_id IS NOT NULL"),
        ),
        Index(
            "uq_messages_tool_call",
            "session_id",
            "tool_key",
            unique=True,
            postgresql_where=text("tool_key IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    session_id: Mapped[UUID]
    from_type: Mapped[str]
    """`user` or `agent`: what `from_id` names."""
    from_id: Mapped[UUID]
    to_agent_id: Mapped[UUID | None]
    """Null: an agent's message to the session's user."""
    channel: Mapped[str]
    text: Mapped[str]
    event_id: Mapped[str | None]
    """The sender's or the channel's own id of the message, by which a repeated delivery is known."""
    root_id: Mapped[UUID | None]
    depth: Mapped[int] = mapped_column(server_default="0")
    """Lineage of the wakes that it makes (scheduler/domain/lineage.py)."""
    refused_for: Mapped[list[UUID]] = mapped_column(server_default=NOBODY)
    """Agents that it may not wake, because its sender woke them too often."""
    tool_key: Mapped[str | None]
    """Of a tool call: which of the run, as `RESPONSE.CALL`, both counted from 0. `text` is what it returned."""
    tool_name: Mapped[str | None]
    tool_arguments: Mapped[str | None]
    """As the model wrote them, which may be no JSON."""
    tool_state: Mapped[str | None]
    """`running`, `done`, `failed` or `interrupted`."""
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class PairWake(Base):
    """A wake that one agent caused of another; only the last minutes are kept, to be counted."""

    __tablename__ = "pair_wakes"
    __table_args__ = (Index("ix_pair_wakes_pair", "from_agent_id", "agent_id", "woken_at"),)

    firing_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_agent_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    woken_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Channel(Base):
    """A provider's app that posts here, and the agent that its people talk to."""

    __tablename__ = "channels"
    __table_args__ = (
        Index("uq_channels_tenant_name", "tenant_id", "name", unique=True),
        Index("ix_channels_tenant", "tenant_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    secrets: Mapped[bytes]
    """Encrypted: what the kind asks for, as JSON."""
    bot_user_id: Mapped[str | None]
    """The provider's id of the app's own user, where events do not tell that a bot wrote."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    note: Mapped[str | None]
    """Why an event lately made no message: for whoever sets the channel up."""
    noted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
