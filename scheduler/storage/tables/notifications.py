"""Notification tables: what people were told, who is watching, and where else it is sent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.tables.base import NOW, Base


class Notification(Base):
    """One notification about an ended run. The reply itself stays on the invocation."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("uq_notifications_invocation", "invocation_id", unique=True),
        Index("ix_notifications_created_at", "created_at"),
        Index("ix_notifications_tenant_age", "tenant_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID]
    invocation_id: Mapped[UUID]
    summary: Mapped[str]
    triggers: Mapped[list[str]]
    """The names of the triggers without duplicates, in the order in which they fired."""
    session_ids: Mapped[list[UUID]]
    """The sessions that received it as a message."""
    failure: Mapped[str | None]
    """The text sent for a failed run, in place of a reply."""
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class LiveSocket(Base):
    """A web process's socket that watches one session or one user, which marks the session as open.

    The process refreshes its rows; stale rows of a killed process are removed.
    """

    __tablename__ = "live_sockets"
    __table_args__ = (
        Index("ix_live_sockets_session", "session_id", postgresql_where=text("session_id IS NOT NULL")),
        Index("ix_live_sockets_user", "user_id", postgresql_where=text("user_id IS NOT NULL")),
        Index("ix_live_sockets_tenant", "tenant_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID | None]
    user_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)


class NotificationTarget(Base):
    """An additional destination for an agent's notifications."""

    __tablename__ = "notification_targets"
    __table_args__ = (Index("uq_notification_targets_name", "agent_id", "name", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    name: Mapped[str]
    kind: Mapped[str]
    host: Mapped[str]
    """The host of its URL. The rest is never shown, since knowing it may be enough to post there."""
    secrets: Mapped[bytes]
    """Encrypted JSON `{url, secret}`. `secret` signs requests and may be null."""
    delivered_at: Mapped[datetime | None]
    note: Mapped[str | None]
    """Why the last notification was not delivered; null again after a successful one."""
    noted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class NotificationDelivery(Base):
    """A notification being sent to a target. It is queued again at `due_at` if it has not been delivered."""

    __tablename__ = "notification_deliveries"
    __table_args__ = (
        Index("ix_notification_deliveries_due", "due_at", postgresql_where=text("state = 'pending'")),
        Index("ix_notification_deliveries_target", "target_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    notification_id: Mapped[UUID]
    target_id: Mapped[UUID] = mapped_column(ForeignKey("notification_targets.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="pending")
    """`pending`, `delivered` or `dead`."""
    attempt: Mapped[int] = mapped_column(server_default="0")
    put_offs: Mapped[int] = mapped_column(server_default="0")
    """Attempts that do not count because the receiver said when to come back."""
    due_at: Mapped[datetime | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    ended_at: Mapped[datetime | None]
