"""Reads what a trigger did and what kept it from firing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, Text, func, literal, or_, select, union_all

from scheduler.storage.audit import SYSTEM
from scheduler.storage.delivery_lists import FILTERED
from scheduler.storage.history_rows import HistoryRow
from scheduler.storage.log_tables import AuditEvent, WebhookDelivery
from scheduler.storage.queries import AuditFilter, events_of, fired_by, newest
from scheduler.storage.rows import rows_as
from scheduler.storage.spans import Span
from scheduler.storage.tables import Firing
from scheduler.storage.trigger_views import TriggerView

AGENT_HELD = "agent.budget_spent"
TENANT_HELD = "tenant.budget_spent"
"""The audit actions for a budget that holds the windows of an agent or of a tenant's agents."""


def list_history(
    conn: Connection, trigger: TriggerView, *, limit: int, after: UUID | None = None
) -> Sequence[HistoryRow]:
    """Lists up to `limit` entries of a trigger's history, newest first, older than `after`: events and firings,
    filtered deliveries, and budget holds.
    """
    mine = AuditFilter(trigger_id=trigger.id)
    of_tenant = AuditEvent.tenant_id == trigger.tenant_id
    held = events_of(of_tenant, AuditFilter(span=Span(trigger.created_at))).where(
        AuditEvent.action.in_((AGENT_HELD, TENANT_HELD)),
        or_(AuditEvent.action == TENANT_HELD, AuditEvent.agent_id == trigger.agent_id),
    )
    sides = [
        newest(events_of(of_tenant, mine), AuditEvent.id, limit, after),
        newest(fired_by(trigger.tenant_id, mine), Firing.id, limit, after),
        newest(held, AuditEvent.id, limit, after),
        newest(_filtered(trigger), WebhookDelivery.id, limit, after),
    ]
    every = union_all(*sides).subquery()
    return rows_as(HistoryRow, conn.execute(select(every).order_by(every.c.id.desc()).limit(limit)))


def _filtered(trigger: TriggerView) -> Select[Any]:
    detail = func.jsonb_build_object("reason", WebhookDelivery.reason, "delivery_id", WebhookDelivery.id)
    verdict = WebhookDelivery.verdict  # written out so that the partial index is used
    return select(
        WebhookDelivery.id,
        WebhookDelivery.received_at.label("at"),
        literal(SYSTEM, Text).label("actor"),
        literal("trigger.filtered", Text).label("action"),
        literal("trigger", Text).label("subject_type"),
        WebhookDelivery.trigger_id.label("subject_id"),
        literal(trigger.agent_id).label("agent_id"),
        detail.label("detail"),
    ).where(WebhookDelivery.trigger_id == trigger.id, verdict == literal(FILTERED, literal_execute=True))
