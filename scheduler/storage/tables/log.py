"""Log tables: webhook deliveries, the audit trail, and remains of pruned rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from scheduler.domain.ids import new_id
from scheduler.storage.tables.base import NOW, Base


class WebhookDelivery(Base):
    """One call of a webhook and its outcome. The body of an accepted call is its firing's payload."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_trigger", "trigger_id", "received_at"),
        Index("ix_webhook_deliveries_tenant_age", "tenant_id", "received_at"),
        Index("ix_webhook_deliveries_tenant", "tenant_id", "id"),
        Index("ix_webhook_deliveries_refused", "tenant_id", "id", postgresql_where=text("verdict <> 'accepted'")),
        Index("ix_webhook_deliveries_unsigned", "id", postgresql_where=text("verdict = 'bad_signature'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID]
    trigger_id: Mapped[UUID]
    received_at: Mapped[datetime] = mapped_column(server_default=NOW)
    verdict: Mapped[str]
    """`accepted`, `duplicate`, `bad_signature`, `rate_limited` or `filtered`."""
    reason: Mapped[str | None]
    delivery_key: Mapped[str | None]
    content_type: Mapped[str | None]
    size: Mapped[int]
    body: Mapped[bytes | None]
    """Of a filtered delivery the whole, of a refused one the beginning; null when accepted."""
    firing_id: Mapped[UUID | None]
    data: Mapped[dict[str, Any] | None]
    """For a filtered delivery: what a firing would keep besides its body."""
    waited: Mapped[timedelta | None]
    """How long it waited from its request until `received_at`, when it was judged; null before revision 0037."""


class IdempotencyKey(Base):
    """A request with an Idempotency-Key and its answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    caller: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    content_hash: Mapped[bytes]
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)


class AuditEvent(Base):
    """Who did what, and when. Firings are not copied here: the audit list reads them from `firings`."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_tenant_age", "tenant_id", "at"),
        Index("ix_audit_events_tenant", "tenant_id", "id"),
        Index("ix_audit_events_agent", "agent_id", "id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_audit_events_subject", "subject_id", "id"),
        Index("ix_audit_events_subject_type", "tenant_id", "subject_type", "id"),
        Index("ix_audit_events_action", "tenant_id", "action", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID | None]
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    """`key:NAME`, `system`, `agent:ID` …"""
    action: Mapped[str]
    """`SUBJECT.VERB`, e.g. `trigger.created`, `invocation.dead`."""
    subject_type: Mapped[str]
    subject_id: Mapped[UUID | None]
    agent_id: Mapped[UUID | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class SpentId(Base):
    """A sender's idempotency id from a row that has been pruned."""

    __tablename__ = "spent_ids"
    __table_args__ = (Index("ix_spent_ids_seen_at", "seen_at"),)

    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The trigger, or the agent that received the message."""
    key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    """Of the firing or message."""
    content_hash: Mapped[bytes]
    seen_at: Mapped[datetime]


class PrunedRows(Base):
    """How many rows of each kind of history have been pruned."""

    __tablename__ = "pruned_rows"

    kind: Mapped[str] = mapped_column(primary_key=True)
    removed: Mapped[int] = mapped_column(BigInteger, server_default="0")
