"""What people ask of the ledger: firings, invocations, deliveries, the audit trail. Newest first, by keyset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, func, literal, select, tuple_, union_all

from scheduler.domain.errors import NotFound
from scheduler.storage.audit import SYSTEM
from scheduler.storage.log_tables import AuditEvent, WebhookDelivery
from scheduler.storage.tables import Firing, Invocation

MAX_SHOWN_FIRINGS = 1000
FIRED = "trigger.fired"
MANUAL = "manual:%"
"""The occurrence keys of firings by hand, which the audit trail names with the person who made them."""

HEAVY = {"payload", "data", "context", "reply", "reply_truncated", "tries", "firing_ids"}
FIRING: tuple[Any, ...] = (
    *(column for column in Firing.__table__.columns if column.name not in HEAVY),
    func.octet_length(Firing.payload).label("payload_size"),
)
WHOLE_FIRING: tuple[Any, ...] = (*FIRING, Firing.payload, Firing.data)
INVOCATION: tuple[Any, ...] = tuple(column for column in Invocation.__table__.columns if column.name not in HEAVY)
DELIVERY: tuple[Any, ...] = tuple(column for column in WebhookDelivery.__table__.columns if column.name != "body")


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """What to leave of a tenant's firings or invocations."""

    agent_id: UUID | None = None
    trigger_id: UUID | None = None
    state: str | None = None


def list_firings(
    conn: Connection, tenant_id: UUID, wanted: LedgerFilter, *, limit: int, after: UUID | None = None
) -> Sequence[Row[Any]]:
    """Up to `limit` firings without their payloads, older than `after`."""
    query = select(*FIRING).where(Firing.tenant_id == tenant_id)
    if wanted.agent_id is not None:
        query = query.where(Firing.agent_id == wanted.agent_id)
    if wanted.trigger_id is not None:
        query = query.where(Firing.trigger_id == wanted.trigger_id)
    if wanted.state is not None:
        query = query.where(Firing.state == wanted.state)
    if after is not None:
        query = query.where(Firing.id < after)
    return conn.execute(query.order_by(Firing.id.desc()).limit(limit)).all()


def get_firing(conn: Connection, tenant_id: UUID, firing_id: UUID) -> Row[Any]:
    """A firing with its payload; raises NotFound."""
    query = select(*WHOLE_FIRING)
    row = conn.execute(query.where(Firing.id == firing_id, Firing.tenant_id == tenant_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no firing '{firing_id}'.")
    return row


def list_invocations(
    conn: Connection, tenant_id: UUID, wanted: LedgerFilter, *, limit: int, after: UUID | None = None
) -> Sequence[Row[Any]]:
    """Up to `limit` invocations without what was said in them, older than `after`."""
    query = select(*INVOCATION).where(Invocation.tenant_id == tenant_id)
    if wanted.agent_id is not None:
        query = query.where(Invocation.agent_id == wanted.agent_id)
    if wanted.state is not None:
        query = query.where(Invocation.state == wanted.state)
    if after is not None:
        query = query.where(Invocation.id < after)
    return conn.execute(query.order_by(Invocation.id.desc()).limit(limit)).all()


def find_invocation(conn: Connection, invocation_id: UUID) -> Row[Any] | None:
    """A whole invocation of any tenant; the caller decides who may know of it."""
    return conn.execute(select(Invocation.__table__).where(Invocation.id == invocation_id)).one_or_none()


def get_invocation(conn: Connection, tenant_id: UUID, invocation_id: UUID) -> Row[Any]:
    """A tenant's whole invocation; raises NotFound."""
    row = find_invocation(conn, invocation_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFound(f"There is no invocation '{invocation_id}'.")
    return row


def firings_of(conn: Connection, invocation: Row[Any]) -> Sequence[Row[Any]]:
    """What an invocation carries, oldest first, up to MAX_SHOWN_FIRINGS.

    A closed one remembers its firings, for a replay moves them to another invocation.
    """
    query = select(*FIRING)
    if invocation.firing_ids is None:
        query = query.where(Firing.invocation_id == invocation.id)
    else:
        query = query.where(Firing.id.in_(invocation.firing_ids))
    return conn.execute(query.order_by(Firing.id).limit(MAX_SHOWN_FIRINGS)).all()


def read_contents(conn: Connection, firing_ids: Collection[UUID], length: int) -> dict[UUID, Row[Any]]:
    """What firings carry: `data`, and as `head` the first `length` bytes of the payload."""
    query = select(Firing.id, Firing.data, func.substring(Firing.payload, 1, length).label("head"))
    return {row.id: row for row in conn.execute(query.where(Firing.id.in_(firing_ids)))}


def list_deliveries(
    conn: Connection, trigger_id: UUID, *, limit: int, after: UUID | None = None
) -> Sequence[Row[Any]]:
    """Up to `limit` calls of a webhook, without their bodies, older than `after`."""
    moment = tuple_(WebhookDelivery.received_at, WebhookDelivery.id)
    query = select(*DELIVERY).where(WebhookDelivery.trigger_id == trigger_id)
    if after is not None:
        last = select(WebhookDelivery.received_at, WebhookDelivery.id).where(WebhookDelivery.id == after)
        query = query.where(moment < last.scalar_subquery())
    newest = (WebhookDelivery.received_at.desc(), WebhookDelivery.id.desc())
    return conn.execute(query.order_by(*newest).limit(limit)).all()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to leave of the audit trail. `action` is whole, or only its subject: `trigger.paused`, `trigger`."""

    agent_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None


def list_audit(
    conn: Connection,
    tenant_id: UUID,
    wanted: AuditFilter,
    *,
    operator: bool,
    limit: int,
    after: UUID | None = None,
) -> Sequence[Row[Any]]:
    """Up to `limit` events of a tenant, and for an `operator` those of no tenant, older than `after`.

    Every firing counts as `trigger.fired`: the trail reads it where it is recorded instead of repeating it.
    """
    sides = [_newest(_events(AuditEvent.tenant_id == tenant_id, wanted), AuditEvent.id, limit, after)]
    if operator:
        sides.append(_newest(_events(AuditEvent.tenant_id.is_(None), wanted), AuditEvent.id, limit, after))
    if wanted.action in (None, FIRED, FIRED.partition(".")[0]):
        sides.append(_newest(_fired(tenant_id, wanted), Firing.id, limit, after))
    every = union_all(*sides).subquery()
    return conn.execute(select(every).order_by(every.c.id.desc()).limit(limit)).all()


def _newest(side: Select[Any], id_column: Any, limit: int, after: UUID | None) -> Select[Any]:
    """So much of a side as can be on the page: its own index gives that, whatever the other sides hold."""
    older = side if after is None else side.where(id_column < after)
    return select(older.order_by(id_column.desc()).limit(limit).subquery())


def _events(owner: ColumnElement[bool], wanted: AuditFilter) -> Select[Any]:
    query = select(
        AuditEvent.id,
        AuditEvent.at,
        AuditEvent.actor,
        AuditEvent.action,
        AuditEvent.subject_type,
        AuditEvent.subject_id,
        AuditEvent.agent_id,
        AuditEvent.detail,
    ).where(owner)
    if wanted.agent_id is not None:
        query = query.where(AuditEvent.agent_id == wanted.agent_id)
    if wanted.subject_id is not None:
        query = query.where(AuditEvent.subject_id == wanted.subject_id)
    if wanted.action is not None:
        column = AuditEvent.action if "." in wanted.action else AuditEvent.subject_type
        query = query.where(column == wanted.action)
    return query


def _fired(tenant_id: UUID, wanted: AuditFilter) -> Select[Any]:
    detail = func.jsonb_build_object(
        "firing_id", Firing.id, "invocation_id", Firing.invocation_id, "name", Firing.trigger_name
    )
    query = select(
        Firing.id,
        Firing.fired_at.label("at"),
        literal(SYSTEM, Text).label("actor"),
        literal(FIRED, Text).label("action"),
        literal("trigger", Text).label("subject_type"),
        Firing.trigger_id.label("subject_id"),
        Firing.agent_id,
        detail.label("detail"),
    ).where(Firing.tenant_id == tenant_id, Firing.occurrence_key.not_like(MANUAL))
    if wanted.agent_id is not None:
        query = query.where(Firing.agent_id == wanted.agent_id)
    if wanted.subject_id is not None:
        query = query.where(Firing.trigger_id == wanted.subject_id)
    return query


def count_acks(conn: Connection, trigger_id: UUID) -> dict[str, int]:
    """A trigger's firings by acknowledgement, without those that have none."""
    rows = conn.execute(
        select(Firing.ack, func.count())
        .where(Firing.trigger_id == trigger_id, Firing.ack.is_not(None))
        .group_by(Firing.ack)
    )
    return {str(ack): count for ack, count in rows}
