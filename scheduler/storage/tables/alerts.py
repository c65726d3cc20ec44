"""The tables of alerts, of mutes, and of what was told of alerts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, ForeignKey, Index, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.tables.base import NOW, Base

END_UNTOLD = text("closed_at IS NOT NULL AND told_at IS NOT NULL AND end_told_at IS NULL")


class Alert(Base):
    """Trouble with one subject, found by one rule. At most one is open for both."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("uq_alerts_open", "rule", "subject_id", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_alerts_tenant", "tenant_id", "id"),
        Index("ix_alerts_end_untold", "id", postgresql_where=END_UNTOLD),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID | None]
    """Null: it concerns the service, and the operator."""
    agent_id: Mapped[UUID | None]
    rule: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[UUID]
    """The nil UUID for the service."""
    subject_name: Mapped[str]
    reason: Mapped[str]
    advice: Mapped[str]
    looks: Mapped[int] = mapped_column(server_default="1")
    """How often it was found."""
    opened_at: Mapped[datetime] = mapped_column(server_default=NOW)
    seen_at: Mapped[datetime] = mapped_column(server_default=NOW)
    told_at: Mapped[datetime | None]
    """When the notification targets were last told that it is open."""
    told_to: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    """The targets that were."""
    closed_at: Mapped[datetime | None]
    end_told_at: Mapped[datetime | None]
    """When they were told that it is over, or nobody wanted to know."""


class AlertMute(Base):
    """Alerts that nobody is told of: of a rule, of a subject, or of both; null: of any."""

    __tablename__ = "alert_mutes"
    __table_args__ = (Index("ix_alert_mutes_tenant", "tenant_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    rule: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    until: Mapped[datetime | None]
    note: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class AlertNotice(Base):
    """What the notification targets are told of an alert: `opened`, `open` (a reminder) or `closed`."""

    __tablename__ = "alert_notices"
    __table_args__ = (Index("ix_alert_notices_alert", "alert_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    alert_id: Mapped[UUID] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    event: Mapped[str]
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
