"""Conversation tables: users, channels, sessions, messages, and wakes between agents."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.tables.base import NOW, Base

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
    """A user's identity on a channel: the provider's id for the person."""

    __tablename__ = "user_accounts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)


class Session(Base):
    """A conversation of an agent with a user or another agent. A reflection is a session with itself."""

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
    """Distinguishes conversations of the same two parties on a channel, e.g. a provider's thread id."""
    title: Mapped[str] = mapped_column(server_default="")
    is_reflection: Mapped[bool] = mapped_column(server_default=text("false"))
    invocation_id: Mapped[UUID | None]
    """For a reflection: the run it describes."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Message(Base):
    """One entry of a session. `created_at` is set before commit, so a later row may become visible earlier."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_sender", "from_id", "created_at"),
        Index("ix_messages_receiver", "to_agent_id", "from_id", "created_at"),
        Index("ix_messages_session", "session_id", "id"),
        Index("ix_messages_tenant_age", "tenant_id", "created_at"),
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
    """The type of `from_id`: `user` or `agent`."""
    from_id: Mapped[UUID]
    to_agent_id: Mapped[UUID | None]
    """Null: a message from an agent to the session's user."""
    channel: Mapped[str]
    text: Mapped[str]
    event_id: Mapped[str | None]
    """The sender's or the channel's id of the message, which identifies repeated deliveries."""
    root_id: Mapped[UUID | None]
    depth: Mapped[int] = mapped_column(server_default="0")
    """The lineage of the wakes that it causes (scheduler/domain/lineage.py)."""
    refused_for: Mapped[list[UUID]] = mapped_column(server_default=NOBODY)
    """Agents that it may not wake because its sender has woken them too often."""
    tool_key: Mapped[str | None]
    """For a tool call: its position in the run as `RESPONSE.CALL`, both counted from 0. `text` is the result."""
    tool_name: Mapped[str | None]
    tool_arguments: Mapped[str | None]
    """As the model wrote them; may be invalid JSON."""
    tool_state: Mapped[str | None]
    """`running`, `done`, `failed` or `interrupted`."""
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class PairWake(Base):
    """A wake of one agent by another. Only the last minutes are kept, for rate limits."""

    __tablename__ = "pair_wakes"
    __table_args__ = (Index("ix_pair_wakes_pair", "from_agent_id", "agent_id", "woken_at"),)

    firing_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_agent_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    woken_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Channel(Base):
    """A chat provider's app that posts events here, and the agent that its users talk to."""

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
    """Encrypted JSON with the secrets of the channel's kind."""
    bot_user_id: Mapped[str | None]
    """The provider's id of the app's own user, for events that do not mark messages of bots."""
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    note: Mapped[str | None]
    """Why a recent event produced no message, for the person who sets up the channel."""
    noted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)
