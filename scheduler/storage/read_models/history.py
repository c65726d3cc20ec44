"""Reads the history: firings, invocations, deliveries and the audit trail, newest first, with keyset pagination."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Text,
    func,
    literal,
    select,
    union_all,
)

from scheduler.domain.errors import NotFound
from scheduler.domain.model import FINAL_STATES, FiringState, InvocationState
from scheduler.storage.audit import SYSTEM
from scheduler.storage.read_models.history_rows import (
    FiringContent,
    FiringRow,
    HistoryRow,
    InvocationRow,
    WholeFiring,
)
from scheduler.storage.read_models.newest import carries, newest_of, triggers_of
from scheduler.storage.read_models.spans import EVER, Span, within
from scheduler.storage.rows import row_as, rows_as
from scheduler.storage.tables.core import Firing, Invocation
from scheduler.storage.tables.log import AuditEvent

MAX_SHOWN_FIRINGS = 1000
LAST_ERROR = Invocation.tries[-1]["error"].astext
WITH_ERRORS = ("dead", "skipped", "cancelled", "retrying")
"""States in which the last attempt, if any, failed."""
ENDED = (FiringState.DEAD, FiringState.SKIPPED, FiringState.CANCELLED)
"""Few firings end in these states, which have their own index."""
FIRED = "trigger.fired"
MANUAL = "manual:%"
"""The prefix of occurrence keys of manual firings; the audit trail shows them with the person who fired."""

HEAVY = {"payload", "data", "context", "reply", "reply_truncated", "tries", "firing_ids"}
FIRING: tuple[Any, ...] = (
    *(column for column in Firing.__table__.columns if column.name not in HEAVY),
    func.octet_length(Firing.payload).label("payload_size"),
)
WHOLE_FIRING: tuple[Any, ...] = (*FIRING, Firing.payload, Firing.data)
INVOCATION: tuple[Any, ...] = tuple(column for column in Invocation.__table__.columns if column.name not in HEAVY)


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Filters a tenant's firings or invocations.

    `span` is when they fired or were opened; `error` matches part of the last attempt's error or the reason.
    """

    agent_id: UUID | None = None
    trigger_id: UUID | None = None
    state: str | None = None
    span: Span = EVER
    error: str | None = None


def list_firings(
    conn: Connection, tenant_id: UUID, wanted: LedgerFilter, *, limit: int, after: UUID | None = None
) -> Sequence[FiringRow]:
    """Lists up to `limit` firings without their payloads, older than `after`."""
    query = select(*FIRING).where(Firing.tenant_id == tenant_id)
    if wanted.agent_id is not None:
        query = query.where(Firing.agent_id == wanted.agent_id)
    if wanted.state is not None:
        # Written out, so that the planner uses the index of failed firings.
        query = query.where(Firing.state == literal(wanted.state, literal_execute=True))
    if wanted.state == FiringState.PENDING:
        query = query.where(Firing.id >= _oldest_pending(tenant_id))
    query = within(query, wanted.span, Firing.fired_at, Firing.id)
    if after is not None:
        query = query.where(Firing.id < after)
    by_state = wanted.state in ENDED and wanted.trigger_id is None
    triggers = None if by_state else triggers_of(conn, wanted.agent_id, wanted.trigger_id)
    return rows_as(FiringRow, conn.execute(newest_of(query, triggers, Firing.trigger_id, (Firing.id,), limit)))


def _oldest_pending(tenant_id: UUID) -> ScalarSelect[Any]:
    """Selects where pending firings start: each is in an invocation that has not ended."""
    first = (
        select(Firing.id)
        .where(Firing.invocation_id == Invocation.id)
        .order_by(Firing.id)
        .limit(1)
        .correlate(Invocation)
        .scalar_subquery()
    )
    under_way = Invocation.state.in_(sorted({*InvocationState} - FINAL_STATES))
    oldest = select(first.label("id")).where(Invocation.tenant_id == tenant_id, under_way).subquery()
    return select(oldest.c.id).order_by(oldest.c.id).limit(1).scalar_subquery()


def get_firing(conn: Connection, tenant_id: UUID, firing_id: UUID) -> WholeFiring:
    """Returns a firing with its payload; raises NotFound."""
    query = select(*WHOLE_FIRING)
    row = row_as(WholeFiring, conn.execute(query.where(Firing.id == firing_id, Firing.tenant_id == tenant_id)))
    if row is None:
        raise NotFound(f"There is no firing '{firing_id}'.")
    return row


def list_invocations(
    conn: Connection, tenant_id: UUID, wanted: LedgerFilter, *, limit: int, after: UUID | None = None
) -> Sequence[InvocationRow]:
    """Lists up to `limit` invocations without their transcripts, older than `after`."""
    query = only(conn, select(*INVOCATION).where(Invocation.tenant_id == tenant_id), wanted)
    if after is not None:
        query = query.where(Invocation.id < after)
    return rows_as(InvocationRow, conn.execute(query.order_by(Invocation.id.desc()).limit(limit)))


def only(conn: Connection, query: Select[Any], wanted: LedgerFilter) -> Select[Any]:
    """Applies the filter to a query of invocations."""
    query = within(query, wanted.span, Invocation.opened_at, Invocation.id)
    if wanted.agent_id is not None:
        query = query.where(Invocation.agent_id == wanted.agent_id)
    if wanted.trigger_id is not None:
        query = query.where(carries(conn, wanted.trigger_id, wanted.agent_id))
    if wanted.state is not None:
        query = query.where(Invocation.state == wanted.state)
    if wanted.error is not None:
        said = func.coalesce(LAST_ERROR, "") + " " + func.coalesce(Invocation.reason, "")
        query = query.where(Invocation.state.in_(WITH_ERRORS), said.icontains(wanted.error, autoescape=True))
    return query


def find_invocation(conn: Connection, invocation_id: UUID) -> Invocation | None:
    """Returns an invocation of any tenant. The caller checks access."""
    return row_as(Invocation, conn.execute(select(Invocation.__table__).where(Invocation.id == invocation_id)))


def get_invocation(conn: Connection, tenant_id: UUID, invocation_id: UUID) -> Invocation:
    """Returns a tenant's invocation; raises NotFound."""
    row = find_invocation(conn, invocation_id)
    if row is None or row.tenant_id != tenant_id:
        raise NotFound(f"There is no invocation '{invocation_id}'.")
    return row


def firings_of(conn: Connection, invocation: Invocation) -> Sequence[FiringRow]:
    """Returns the firings of an invocation, oldest first, up to MAX_SHOWN_FIRINGS.

    A closed invocation stores its firing ids, as a replay moves the firings to another invocation.
    """
    query = select(*FIRING)
    if invocation.firing_ids is None:
        query = query.where(Firing.invocation_id == invocation.id)
    else:
        query = query.where(Firing.id.in_(invocation.firing_ids))
    return rows_as(FiringRow, conn.execute(query.order_by(Firing.id).limit(MAX_SHOWN_FIRINGS)))


def read_contents(conn: Connection, firing_ids: Collection[UUID], length: int) -> dict[UUID, FiringContent]:
    """Reads the contents of firings: `data`, and as `head` the first `length` bytes of the payload."""
    query = select(Firing.id, Firing.data, func.substring(Firing.payload, 1, length).label("head"))
    return {row.id: row for row in rows_as(FiringContent, conn.execute(query.where(Firing.id.in_(firing_ids))))}


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Filters the audit trail. `action` is a full action or only its subject: `trigger.paused` or `trigger`."""

    agent_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None
    trigger_id: UUID | None = None
    """A subject alone is allowed too."""
    span: Span = EVER


def list_audit(
    conn: Connection,
    tenant_id: UUID,
    wanted: AuditFilter,
    *,
    operator: bool,
    limit: int,
    after: UUID | None = None,
) -> Sequence[HistoryRow]:
    """Lists up to `limit` events of a tenant, and for an `operator` those without a tenant, older than `after`.

    Every firing counts as `trigger.fired`: it is read from `firings` instead of being copied.
    """
    sides = [newest(events_of(AuditEvent.tenant_id == tenant_id, wanted), AuditEvent.id, limit, after)]
    if operator:
        sides.append(newest(events_of(AuditEvent.tenant_id.is_(None), wanted), AuditEvent.id, limit, after))
    if wanted.action in (None, FIRED, FIRED.partition(".")[0]):
        sides.append(_newest_fired(conn, tenant_id, wanted, limit, after))
    every = union_all(*sides).subquery()
    return rows_as(HistoryRow, conn.execute(select(every).order_by(every.c.id.desc()).limit(limit)))


def _newest_fired(
    conn: Connection, tenant_id: UUID, wanted: AuditFilter, limit: int, after: UUID | None
) -> Select[Any]:
    if wanted.subject_id not in (None, wanted.trigger_id) and wanted.trigger_id is not None:
        triggers: Sequence[UUID] | None = []
    else:
        triggers = triggers_of(conn, wanted.agent_id, wanted.trigger_id or wanted.subject_id)
    rows = fired_by(tenant_id, wanted)
    older = rows if after is None else rows.where(Firing.id < after)
    return select(newest_of(older, triggers, Firing.trigger_id, (Firing.id,), limit).subquery())


def newest(side: Select[Any], id_column: Any, limit: int, after: UUID | None) -> Select[Any]:
    """Limits one side of the union to what fits on the page, so that its own index is used."""
    older = side if after is None else side.where(id_column < after)
    return select(older.order_by(id_column.desc()).limit(limit).subquery())


def events_of(owner: ColumnElement[bool], wanted: AuditFilter) -> Select[Any]:
    """Selects the stored audit events."""
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
    if wanted.trigger_id is not None:
        query = query.where(AuditEvent.subject_id == wanted.trigger_id)
    if wanted.action is not None:
        column = AuditEvent.action if "." in wanted.action else AuditEvent.subject_type
        query = query.where(column == wanted.action)
    return within(query, wanted.span, AuditEvent.at, AuditEvent.id)


def fired_by(tenant_id: UUID, wanted: AuditFilter) -> Select[Any]:
    """Selects firings as audit events."""
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
    if wanted.trigger_id is not None:
        query = query.where(Firing.trigger_id == wanted.trigger_id)
    return within(query, wanted.span, Firing.fired_at, Firing.id)


def count_acks(conn: Connection, trigger_id: UUID) -> dict[str, int]:
    """Counts a trigger's acknowledged firings by acknowledgement."""
    rows = conn.execute(
        select(Firing.ack, func.count())
        .where(Firing.trigger_id == trigger_id, Firing.ack.is_not(None))
        .group_by(Firing.ack)
    )
    return {str(ack): count for ack, count in rows}
