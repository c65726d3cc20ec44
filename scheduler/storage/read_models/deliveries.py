"""Lists webhook deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, case, literal, select, tuple_

from scheduler.domain.errors import NotFound
from scheduler.storage.read_models.newest import newest_of, triggers_of
from scheduler.storage.read_models.spans import EVER, Span, within
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.core import Firing, Trigger
from scheduler.storage.tables.log import WebhookDelivery

DELIVERY: tuple[Any, ...] = tuple(column for column in WebhookDelivery.__table__.columns if column.name != "body")
ACCEPTED = "accepted"
FILTERED = "filtered"
REFUSED = "refused"
"""Every verdict except `accepted`."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Filters a tenant's webhook deliveries. `verdict` may be REFUSED; `error` matches part of the reason."""

    agent_id: UUID | None = None
    trigger_id: UUID | None = None
    verdict: str | None = None
    span: Span = EVER
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery without its body."""

    id: UUID
    tenant_id: UUID
    trigger_id: UUID
    received_at: datetime
    verdict: str
    reason: str | None
    delivery_key: str | None
    content_type: str | None
    size: int
    firing_id: UUID | None
    data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class WholeDelivery(DeliveryRow):
    """A delivery with what is kept of its body: that of an accepted one is its firing's payload."""

    body: bytes | None


def get_delivery(conn: Connection, tenant_id: UUID, delivery_id: UUID) -> WholeDelivery:
    """Returns a delivery; raises NotFound."""
    is_first = WebhookDelivery.verdict == literal(ACCEPTED)
    query = select(*DELIVERY, case((is_first, Firing.payload), else_=WebhookDelivery.body).label("body"))
    query = query.outerjoin(Firing, Firing.id == WebhookDelivery.firing_id)
    found = conn.execute(query.where(WebhookDelivery.id == delivery_id, WebhookDelivery.tenant_id == tenant_id))
    row = row_as(WholeDelivery, found)
    if row is None:
        raise NotFound(f"There is no delivery '{delivery_id}'.")
    return row


def find_deliveries(
    conn: Connection, tenant_id: UUID, wanted: DeliveryFilter, *, limit: int, after: UUID | None = None
) -> Sequence[DeliveryRow]:
    """Lists up to `limit` deliveries without their bodies, newest first, older than `after`."""
    query = select(*DELIVERY).where(WebhookDelivery.tenant_id == tenant_id)
    query = within(query, wanted.span, WebhookDelivery.received_at, WebhookDelivery.id)
    if wanted.verdict is not None or wanted.error is not None:
        # Accepted deliveries have no reason. The condition is written out so that the planner uses the partial
        # index.
        refused = WebhookDelivery.verdict != literal(ACCEPTED, literal_execute=True)
        query = query.where(WebhookDelivery.verdict == ACCEPTED if wanted.verdict == ACCEPTED else refused)
    if wanted.verdict not in (None, ACCEPTED, REFUSED):
        query = query.where(WebhookDelivery.verdict == wanted.verdict)
    if wanted.error is not None:
        query = query.where(WebhookDelivery.reason.icontains(wanted.error, autoescape=True))
    triggers = triggers_of(conn, wanted.agent_id, wanted.trigger_id)
    if triggers is None and wanted.agent_id is not None:
        of_agent = select(Trigger.id).where(Trigger.agent_id == wanted.agent_id)
        query = query.where(WebhookDelivery.trigger_id.in_(of_agent))
    # The index by trigger is ordered by time.
    by_time: tuple[Any, ...] = (WebhookDelivery.received_at, WebhookDelivery.id)
    order = (WebhookDelivery.id,) if triggers is None else by_time
    if after is not None:
        last = select(*order).where(WebhookDelivery.id == after)
        query = query.where(tuple_(*order) < last.scalar_subquery())
    return rows_as(DeliveryRow, conn.execute(newest_of(query, triggers, WebhookDelivery.trigger_id, order, limit)))
