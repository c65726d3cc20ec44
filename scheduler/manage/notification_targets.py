"""The operations on notification targets, to which an agent's replies are sent besides its sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.clock import Clock
from scheduler.domain.errors import LimitReached
from scheduler.domain.ids import new_id
from scheduler.domain.notification import content_of
from scheduler.domain.signatures import new_standard_secret
from scheduler.net.client import GuardedClient
from scheduler.net.headers import check_address
from scheduler.net.policy import AllowedPrivate, check_url
from scheduler.notifications.deliveries import send
from scheduler.notifications.target_statements import (
    create_target,
    delete_target,
    get_target,
    list_targets,
    update_target,
)
from scheduler.notifications.targets.base import NotSent, Outgoing
from scheduler.notifications.targets.registry import SIGNED, open_target
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.notification_tables import NotificationTarget
from scheduler.storage.secrets import SecretBox

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
        with self._db.begin() as conn:
            row = get_target(conn, tenant_id, target_id, lock=True)
            delete_target(conn, row.id)
            _audit(conn, "deleted", row, actor)

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
    detail = {"name": row.name, "kind": row.kind, "host": row.host}
    action = f"notification_target.{verb}"
    record_events(conn, [Event(action, row.tenant_id, row.id, row.agent_id, actor, detail)])
