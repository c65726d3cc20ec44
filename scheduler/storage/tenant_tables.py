"""The tables of tenants, and of the pause of the whole service."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.base import NOW, Base


class Tenant(Base):
    """The owner of agents."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    default_max_triggers: Mapped[int] = mapped_column(server_default="20")
    min_poll_interval_min: Mapped[int] = mapped_column(server_default="5")
    max_webhook_rate: Mapped[int] = mapped_column(server_default="5")
    max_webhook_body_bytes: Mapped[int] = mapped_column(server_default="1048576")
    max_tokens_per_day: Mapped[int | None] = mapped_column(BigInteger)
    """The limit for all its agents together; null: no limit."""
    max_invocations_per_hour: Mapped[int | None]
    max_concurrent_runs: Mapped[int | None]
    keep_firings_days: Mapped[int | None]
    """How many days each kind of history is kept: 0 means forever, null the installation's default."""
    keep_invocations_days: Mapped[int | None]
    keep_deliveries_days: Mapped[int | None]
    keep_messages_days: Mapped[int | None]
    keep_notifications_days: Mapped[int | None]
    keep_audit_days: Mapped[int | None]
    min_heartbeat_interval: Mapped[int] = mapped_column(server_default="240")
    """The minimum minutes between two heartbeats of an agent."""
    alert_quiet_hours: Mapped[str | None]
    """Hours of the day, such as `22:00-07:00`, in which nobody is told of alerts."""
    alert_remind_minutes: Mapped[int | None]
    badge_hash: Mapped[bytes | None] = mapped_column(unique=True)
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_note: Mapped[str | None]
    paused_by: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class ServicePause(Base):
    """Whether the whole service is paused: a single row, created by a migration."""

    __tablename__ = "service_pause"
    __table_args__ = (CheckConstraint("id = 1"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    is_paused: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_note: Mapped[str | None]
    paused_by: Mapped[str | None]
    paused_at: Mapped[datetime | None]
