"""The operations on notification targets, to which an agent's replies are sent besides its sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, delete, func, insert, literal, select, update

from scheduler.domain.clock import Clock
from scheduler.domain.errors import Conflict, LimitReached, NotFound
from scheduler.domain.ids import new_id
from scheduler.domain.notification import content_of
from scheduler.domain.signatures import new_standard_secret
from scheduler.net.client import GuardedClient
from scheduler.net.headers import check_address
from scheduler.net.policy import AllowedPrivate, check_url
from scheduler.notifications.deliveries import send
from scheduler.notifications.targets.kinds import NotSent, Outgoing
from scheduler.notifications.targets.registry import SIGNED, open_target
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.notifications import NotificationTarget

TARGETS = NotificationTarget.__table__
MAX_TARGETS = 10
DUPLICATE = "The agent already has a target with that name; choose another."
TESTS_AT_ONCE = 2
RETRY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """The input for a new target. `url` and `secret` are stored encrypted."""

    name: str
    kind: str
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class NewTarget:
    """A new target. The `secret` of a signed one is shown only this once."""

    row: NotificationTarget
    secret: str | None = field(repr=False)


class NotificationTargets:
    """The operations on notification targets. Every change is one transaction and writes an audit event."""

    def __init__(self, db: Database, box: SecretBox, allow_private: AllowedPrivate, clock: Clock) -> None:
        self._db = db
        self._box = box
        self._allow_private = allow_private
        self._clock = clock
        # Each test occupies a thread of this process for up to 10 s.
        self._tests = BoundedSemaphore(TESTS_AT_ONCE)

    def create(self, tenant_id: UUID, agent_id: UUID, spec: TargetSpec, *, actor: str) -> NewTarget:
        """Creates a target for an agent. Raises InvalidField, NotFound, or Conflict for its name or the limit."""
        secret = _secret_of(spec)
        values = self._columns(spec, secret)
        with self._db.begin() as conn:
            get_agent(conn, tenant_id, agent_id, lock=True)
            row = create_target(conn, tenant_id, agent_id, values)
            _audit(conn, "created", row, actor)
        return NewTarget(row, secret if spec.kind == SIGNED else None)

    def update(self, tenant_id: UUID, target_id: UUID, spec: TargetSpec, *, actor: str) -> NotificationTarget:
        """Replaces a target's settings. Raises InvalidField, NotFound, or Conflict for its name."""
        values = self._columns(spec, _secret_of(spec))
        with self._db.begin() as conn:
            get_target(conn, tenant_id, target_id, lock=True)
            row = update_target(conn, target_id, values)
            _audit(conn, "updated", row, actor)
        return row

    def _columns(self, spec: TargetSpec, secret: str | None) -> dict[str, Any]:
        """Checks a target and returns its columns. Raises InvalidField."""
        check_address(spec.url, "url", self._allow_private)
        open_target(spec.kind, secret)
        return {
            "name": spec.name,
            "kind": spec.kind,
            "host": check_url(spec.url, self._allow_private).host,
            "secrets": self._box.encrypt(json.dumps({"url": spec.url, "secret": secret})),
        }

    def list(
        self, tenant_id: UUID, agent_id: UUID, *, limit: int, after: UUID | None = None
    ) -> Sequence[NotificationTarget]:
        """Lists an agent's targets, newest first. Raises NotFound for the agent."""
        with self._db.begin() as conn:
            get_agent(conn, tenant_id, agent_id)
            return list_targets(conn, agent_id, limit=limit, after=after)

    def get(self, tenant_id: UUID, target_id: UUID) -> NotificationTarget:
        """Returns one target. Raises NotFound."""
        with self._db.begin() as conn:
            return get_target(conn, tenant_id, target_id)

    def delete(self, tenant_id: UUID, target_id: UUID, *, actor: str) -> None:
        """Deletes a target. Pending deliveries to it are dropped. Raises NotFound."""
        if not self.delete_all(tenant_id, [target_id], actor=actor):
            raise NotFound(f"There is no notification target '{target_id}'.")

    def delete_all(self, tenant_id: UUID, target_ids: Sequence[UUID], *, actor: str) -> int:
        """Deletes many targets as `delete` does; any that are gone are left out. Returns how many were there."""
        with self._db.begin() as conn:
            found = delete_targets(conn, tenant_id, target_ids)
            record_events(conn, [_event("deleted", row, actor) for row in found])
        return len(found)

    def test(self, tenant_id: UUID, target_id: UUID) -> NotSent | None:
        """Sends one test immediately; returns None when it arrived. Raises NotFound, LimitReached."""
        with self._db.begin() as conn:
            row = get_target(conn, tenant_id, target_id)
            name = get_agent(conn, tenant_id, row.agent_id).name
        note = Outgoing(
            id=new_id(),
            invocation_id=None,
            agent_id=row.agent_id,
            agent_name=name,
            content=content_of("Test", f"{name} can reach you here."),
            triggers=(),
            created_at=self._clock.now(),
        )
        if not self._tests.acquire(blocking=False):
            raise LimitReached("Other targets are being tested; try again in a moment.", retry_after=RETRY_SECONDS)
        try:
            return asyncio.run(self._send(row, note))
        finally:
            self._tests.release()

    async def _send(self, row: NotificationTarget, note: Outgoing) -> NotSent | None:
        held = json.loads(self._box.decrypt(row.secrets))
        async with GuardedClient(allow_private=self._allow_private) as client:
            return await send(client, self._clock, held["url"], open_target(row.kind, held["secret"]), note)


def _secret_of(spec: TargetSpec) -> str | None:
    return spec.secret or (new_standard_secret() if spec.kind == SIGNED else None)


def _audit(conn: Connection, verb: str, row: NotificationTarget, actor: str) -> None:
    record_events(conn, [_event(verb, row, actor)])


def _event(verb: str, row: NotificationTarget, actor: str) -> Event:
    detail = {"name": row.name, "kind": row.kind, "host": row.host}
    return Event(f"notification_target.{verb}", row.tenant_id, row.id, row.agent_id, actor, detail)


def create_target(
    conn: Connection, tenant_id: UUID, agent_id: UUID, values: Mapping[str, Any]
) -> NotificationTarget:
    """Creates a target for an agent that the caller has locked; raises Conflict on its name, or at the limit."""
    count = conn.scalar(select(func.count()).where(NotificationTarget.agent_id == agent_id)) or 0
    if count >= MAX_TARGETS:
        raise Conflict(f"An agent has at most {MAX_TARGETS} targets; delete one first.")
    with refuse_duplicate("uq_notification_targets_name", DUPLICATE):
        made = insert(NotificationTarget).values(tenant_id=tenant_id, agent_id=agent_id, **values)
        return one_as(NotificationTarget, conn.execute(made.returning(TARGETS)))


def get_target(conn: Connection, tenant_id: UUID, target_id: UUID, *, lock: bool = False) -> NotificationTarget:
    """Returns a tenant's target; raises NotFound. `lock` locks the row until commit."""
    statement = select(TARGETS).where(
        NotificationTarget.id == target_id, NotificationTarget.tenant_id == tenant_id
    )
    row = row_as(NotificationTarget, conn.execute(statement.with_for_update() if lock else statement))
    if row is None:
        raise NotFound(f"There is no notification target '{target_id}'.")
    return row


def list_targets(
    conn: Connection, agent_id: UUID, *, limit: int, after: UUID | None = None
) -> Sequence[NotificationTarget]:
    """Lists up to `limit` of an agent's targets, newest first, older than `after`."""
    statement = select(TARGETS).where(NotificationTarget.agent_id == agent_id)
    if after is not None:
        statement = statement.where(NotificationTarget.id < after)
    return rows_as(NotificationTarget, conn.execute(statement.order_by(NotificationTarget.id.desc()).limit(limit)))


def update_target(conn: Connection, target_id: UUID, values: Mapping[str, Any]) -> NotificationTarget:
    """Updates a target that the caller has locked; raises Conflict on its name."""
    with refuse_duplicate("uq_notification_targets_name", DUPLICATE):
        changed = update(NotificationTarget).where(NotificationTarget.id == target_id).values(**values)
        return one_as(NotificationTarget, conn.execute(changed.returning(TARGETS)))


def delete_targets(conn: Connection, tenant_id: UUID, target_ids: Sequence[UUID]) -> list[NotificationTarget]:
    """Deletes a tenant's targets; pending deliveries to them are dropped. Returns those that were there."""
    mine = (
        NotificationTarget.id == any_(literal(list(target_ids), ARRAY(Uuid()))),
        NotificationTarget.tenant_id == tenant_id,
    )
    return rows_as(NotificationTarget, conn.execute(delete(NotificationTarget).where(*mine).returning(TARGETS)))
