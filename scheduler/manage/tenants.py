"""The operations on tenants, which own agents and limit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.invocations.budgets import free_tenants_windows
from scheduler.manage.agents.heartbeat import widen_heartbeats
from scheduler.manage.triggers.jobs import rezone_tenant
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.audit import Event, record_events
from scheduler.storage.budgets import LIMITS, forget_notices
from scheduler.storage.engine import Database
from scheduler.storage.tables.tenants import Tenant
from scheduler.storage.tenants import create_tenant, delete_tenant, get_tenant, list_tenants, update_tenant


class Tenants:
    """The operations on tenants, for operators. Every change is one transaction and writes an audit event."""

    def __init__(self, db: Database, triggers: Triggers) -> None:
        """`triggers` slows down heartbeats when a tenant's minimum interval rises."""
        self._db = db
        self._triggers = triggers

    def create(self, values: Mapping[str, Any], *, actor: str) -> Tenant:
        """Creates a tenant. Raises Conflict for its name."""
        with self._db.begin() as conn:
            row = create_tenant(conn, values)
            _audit(conn, "created", row.id, actor, name=row.name)
        return row

    def list(self, *, limit: int, after: UUID | None = None) -> Sequence[Tenant]:
        """Lists tenants, newest first."""
        with self._db.begin() as conn:
            return list_tenants(conn, limit=limit, after=after)

    def get(self, tenant_id: UUID) -> Tenant:
        """Returns one tenant. Raises NotFound."""
        with self._db.begin() as conn:
            return get_tenant(conn, tenant_id)

    def update(self, tenant_id: UUID, patch: Mapping[str, Any], *, actor: str) -> Tenant:
        """Changes fields. A new timezone moves triggers where neither they nor their agents have their own.

        Windows held for a changed limit are reconsidered at once. Heartbeats faster than a new minimum are slowed
        down. Raises NotFound, Conflict.
        """
        with self._db.begin() as conn:
            before = get_tenant(conn, tenant_id)
            changed = {name: value for name, value in patch.items() if getattr(before, name) != value}
            row = update_tenant(conn, tenant_id, changed)
            _follow(conn, tenant_id, set(changed))
            if changed:
                _audit(conn, "updated", row.id, actor, fields=sorted(changed))
        if "min_heartbeat_interval" in changed:
            widen_heartbeats(self._db, self._triggers, tenant_id, row.min_heartbeat_interval, actor=actor)
        return row

    def delete(self, tenant_id: UUID, *, actor: str) -> None:
        """Deletes a tenant without agents, and its keys. Raises NotFound, Conflict."""
        with self._db.begin() as conn:
            name = delete_tenant(conn, tenant_id)
            _audit(conn, "deleted", tenant_id, actor, name=name)


def _follow(conn: Connection, tenant_id: UUID, changed: set[str]) -> None:
    """Applies the consequences of changed columns."""
    if "timezone" in changed:
        rezone_tenant(conn, tenant_id)
    if LIMITS & changed:
        forget_notices(conn, tenant_id)
    if (LIMITS | {"timezone"}) & changed:
        free_tenants_windows(conn, tenant_id)


def _audit(conn: Connection, verb: str, tenant_id: UUID, actor: str, **detail: object) -> None:
    """Writes to no tenant's trail: these are the operator's actions, and the tenant may be gone."""
    record_events(conn, [Event(f"tenant.{verb}", None, subject_id=tenant_id, actor=actor, detail=detail)])
