"""What people do with alerts: list them, mute them, and show a badge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    union_all,
    update,
)

from scheduler.alerts.rules import RULES
from scheduler.domain.errors import InvalidField, NotFound
from scheduler.domain.ids import NIL, new_token, token_hash
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.rows import one_as, rows_as
from scheduler.storage.tables.alerts import Alert, AlertMute
from scheduler.storage.tables.core import Agent, Trigger
from scheduler.storage.tables.tenants import ServicePause, Tenant
from scheduler.storage.tenants import DEFAULT_TENANT

ALERTS = Alert.__table__
MUTES = AlertMute.__table__
THE_SERVICE = "the service"
ADVICE = {rule.name: rule.advice for rule in RULES}


@dataclass(frozen=True, slots=True)
class Badge:
    """The state of a tenant, for its badge."""

    is_paused: bool
    open_alerts: int


@dataclass(frozen=True, slots=True)
class Mute:
    """A mute, with the kind and the name of its subject; None if it is of any subject."""

    id: UUID
    rule: str | None
    subject_id: UUID | None
    subject_kind: str | None
    subject_name: str | None
    until: datetime | None
    note: str | None
    created_by: str
    created_at: datetime


def list_alerts(
    conn: Connection,
    tenant_id: UUID,
    *,
    is_operator: bool,
    is_open: bool | None = None,
    limit: int,
    after: UUID | None = None,
) -> Sequence[Alert]:
    """Lists alerts, newest first."""
    query = select(ALERTS).where(_seen_by(tenant_id, is_operator=is_operator))
    if is_open is not None:
        query = query.where(Alert.closed_at.is_(None) if is_open else Alert.closed_at.is_not(None))
    if after is not None:
        query = query.where(Alert.id < after)
    return rows_as(Alert, conn.execute(query.order_by(Alert.id.desc()).limit(limit)))


def list_mutes(conn: Connection, tenant_id: UUID, *, limit: int, after: UUID | None = None) -> Sequence[Mute]:
    """Lists mutes that have not ended, newest first."""
    query = _named_mutes().where(
        AlertMute.tenant_id == tenant_id,
        or_(AlertMute.until.is_(None), AlertMute.until > func.clock_timestamp()),
    )
    if after is not None:
        query = query.where(AlertMute.id < after)
    return rows_as(Mute, conn.execute(query.order_by(AlertMute.id.desc()).limit(limit)))


class Alerts:
    """The alerts of tenants; an operator's list has those of the service too."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def list(
        self, tenant_id: UUID, *, is_operator: bool, is_open: bool | None, limit: int, after: UUID | None = None
    ) -> Sequence[Alert]:
        """Lists alerts, newest first."""
        with self._db.begin() as conn:
            return list_alerts(conn, tenant_id, is_operator=is_operator, is_open=is_open, limit=limit, after=after)

    def mute(
        self,
        tenant_id: UUID,
        *,
        rule: str | None,
        subject_id: UUID | None,
        until: datetime | None,
        note: str | None,
        actor: str,
    ) -> Mute:
        """Mutes a rule, a subject, or one rule of a subject. Raises InvalidField."""
        if rule is None and subject_id is None:
            raise InvalidField("Name a rule, a subject_id, or both.", field="rule")
        if rule is not None and rule not in ADVICE:
            raise InvalidField(f"There is no rule {rule!r}; the rules are {', '.join(ADVICE)}.", field="rule")
        values = {"tenant_id": tenant_id, "rule": rule, "subject_id": subject_id, "until": until, "note": note}
        with self._db.begin() as conn:
            if subject_id is not None and not _is_subject(conn, tenant_id, subject_id):
                raise InvalidField(f"There is no agent or trigger '{subject_id}'.", field="subject_id")
            row = one_as(
                AlertMute, conn.execute(insert(AlertMute).values(**values, created_by=actor).returning(MUTES))
            )
            _audit(conn, "muted", row, actor)
            return one_as(Mute, conn.execute(_named_mutes().where(AlertMute.id == row.id)))

    def list_mutes(self, tenant_id: UUID, *, limit: int, after: UUID | None = None) -> Sequence[Mute]:
        """Lists mutes that have not ended, newest first."""
        with self._db.begin() as conn:
            return list_mutes(conn, tenant_id, limit=limit, after=after)

    def unmute(self, tenant_id: UUID, mute_id: UUID, *, actor: str) -> None:
        """Ends a mute. Raises NotFound."""
        query = delete(AlertMute).where(AlertMute.tenant_id == tenant_id, AlertMute.id == mute_id).returning(MUTES)
        with self._db.begin() as conn:
            found = rows_as(AlertMute, conn.execute(query))
            if not found:
                raise NotFound(f"There is no mute '{mute_id}'.")
            _audit(conn, "unmuted", found[0], actor)

    def new_badge(self, tenant_id: UUID, *, actor: str) -> str:
        """Returns the token of a new badge address; an earlier one stops working."""
        token = new_token()
        with self._db.begin() as conn:
            conn.execute(update(Tenant).where(Tenant.id == tenant_id).values(badge_hash=token_hash(token)))
            record_event(conn, action="badge.created", tenant_id=tenant_id, subject_id=tenant_id, actor=actor)
        return token

    def end_badge(self, tenant_id: UUID, *, actor: str) -> None:
        """Ends the tenant's badge: its address stops working. Does nothing when there is none."""
        query = (
            update(Tenant).where(Tenant.id == tenant_id, Tenant.badge_hash.is_not(None)).values(badge_hash=None)
        )
        with self._db.begin() as conn:
            if conn.execute(query).rowcount:
                record_event(conn, action="badge.ended", tenant_id=tenant_id, subject_id=tenant_id, actor=actor)

    def badge(self, token: str) -> Badge:
        """Returns the state of the tenant whose badge has that token. Raises NotFound.

        That of the default tenant, which is the operator's, counts the alerts of the service too.
        """
        count = (
            select(func.count())
            .where(func.coalesce(Alert.tenant_id, DEFAULT_TENANT) == Tenant.id, Alert.closed_at.is_(None))
            .correlate(Tenant)
            .scalar_subquery()
        )
        is_paused = or_(Tenant.is_paused, select(ServicePause.is_paused).scalar_subquery())
        query = select(is_paused.label("is_paused"), count.label("open_alerts")).where(
            Tenant.badge_hash == token_hash(token)
        )
        with self._db.begin() as conn:
            found = rows_as(Badge, conn.execute(query))
        if not found:
            raise NotFound("There is no such badge.")
        return found[0]


def count_open(conn: Connection, tenant_id: UUID, *, is_operator: bool = False) -> int:
    """Counts a tenant's open alerts, for an operator with those of the service, up to 100."""
    mine = _seen_by(tenant_id, is_operator=is_operator)
    query = select(Alert.id).where(mine, Alert.closed_at.is_(None)).limit(100)
    return conn.execute(select(func.count()).select_from(query.subquery())).scalar_one()


def _seen_by(tenant_id: UUID, *, is_operator: bool) -> ColumnElement[bool]:
    mine = Alert.tenant_id == tenant_id
    return or_(mine, Alert.tenant_id.is_(None)) if is_operator else mine


def _named_mutes() -> Select[tuple[AlertMute, str | None, str | None]]:
    """Returns a query of mutes with their subjects' kinds and names, which deleted subjects have too."""
    of_trigger = Agent.__table__.alias("agents_of_triggers")
    subject = AlertMute.subject_id
    kind = case(
        (subject == NIL, "service"),
        (Trigger.id.is_not(None), "trigger"),
        (Agent.id.is_not(None), "agent"),
        (Tenant.id.is_not(None), "tenant"),
    )
    name = case(
        (subject == NIL, THE_SERVICE),
        else_=func.coalesce(of_trigger.c.name + "/" + Trigger.name, Agent.name, Tenant.name),
    )
    return (
        select(MUTES, kind.label("subject_kind"), name.label("subject_name"))
        .outerjoin(Trigger, Trigger.id == subject)
        .outerjoin(of_trigger, of_trigger.c.id == Trigger.agent_id)
        .outerjoin(Agent, Agent.id == subject)
        .outerjoin(Tenant, Tenant.id == subject)
    )


def _is_subject(conn: Connection, tenant_id: UUID, id_: UUID) -> bool:
    """Tells whether alerts can be about it: the service, the tenant, or an agent or trigger of the tenant."""
    if id_ in (NIL, tenant_id):
        return True
    agents = select(Agent.id).where(Agent.tenant_id == tenant_id, Agent.id == id_, Agent.deleted_at.is_(None))
    triggers = select(Trigger.id).where(
        Trigger.tenant_id == tenant_id, Trigger.id == id_, Trigger.deleted_at.is_(None)
    )
    return conn.execute(union_all(agents, triggers)).first() is not None


def _audit(conn: Connection, verb: str, mute: AlertMute, actor: str) -> None:
    record_event(
        conn,
        action=f"alert.{verb}",
        tenant_id=mute.tenant_id,
        subject_id=mute.subject_id,
        actor=actor,
        rule=mute.rule,
        until=mute.until and mute.until.isoformat(),
        note=mute.note,
    )
