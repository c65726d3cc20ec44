"""Stores tenants, the owners of agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select, update

from scheduler.domain.errors import Conflict, NotFound
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables.core import Agent, Trigger
from scheduler.storage.tables.tenants import Tenant

DEFAULT_TENANT = UUID("00000000-0000-7000-8000-000000000001")
"""The tenant that the first migration creates."""

CANARY_TENANT = UUID("00000000-0000-7000-8000-00000000000c")
"""The system's own tenant, in which the canary lives once a scheduler has made it."""

TENANTS = Tenant.__table__
MISSING = "There is no tenant '{}'."
DUPLICATE = "There is already a tenant with that name; choose another."


def get_tenant(conn: Connection, tenant_id: UUID, *, keep: bool = False) -> Tenant:
    """Returns a tenant; raises NotFound. `keep` prevents its deletion until this transaction ends."""
    statement = select(TENANTS).where(Tenant.id == tenant_id)
    if keep:
        statement = statement.with_for_update(read=True, key_share=True)
    row = row_as(Tenant, conn.execute(statement))
    if row is None:
        raise NotFound(MISSING.format(tenant_id))
    return row


def list_tenants(conn: Connection, *, limit: int, after: UUID | None = None) -> Sequence[Tenant]:
    """Lists up to `limit` tenants, newest first, older than `after`, except the system's own."""
    statement = select(TENANTS).where(Tenant.is_system.is_(False)).order_by(Tenant.id.desc()).limit(limit)
    if after is not None:
        statement = statement.where(Tenant.id < after)
    return rows_as(Tenant, conn.execute(statement))


def read_names(conn: Connection) -> dict[UUID, str]:
    """Returns the names of all tenants by id."""
    return {row.id: row.name for row in conn.execute(select(Tenant.id, Tenant.name))}


def create_tenant(conn: Connection, values: Mapping[str, Any]) -> Tenant:
    """Creates a tenant; raises Conflict if the name is taken."""
    with refuse_duplicate("uq_tenants_name", DUPLICATE):
        return one_as(Tenant, conn.execute(insert(Tenant).values(**values).returning(TENANTS)))


def update_tenant(conn: Connection, tenant_id: UUID, values: Mapping[str, Any]) -> Tenant:
    """Updates a tenant. Raises NotFound, or Conflict if the name is taken or is the default tenant's."""
    row = _lock_tenant(conn, tenant_id)
    if not values:
        return row
    if tenant_id == DEFAULT_TENANT and values.get("name", row.name) != row.name:
        raise Conflict("The default tenant cannot be renamed, as operators' keys act on it.", field="name")
    with refuse_duplicate("uq_tenants_name", DUPLICATE):
        return one_as(
            Tenant, conn.execute(update(Tenant).where(Tenant.id == tenant_id).values(**values).returning(TENANTS))
        )


def delete_tenant(conn: Connection, tenant_id: UUID) -> str:
    """Deletes a tenant without agents, and its keys; returns its name. Its history stays but is no longer visible.

    Raises NotFound, or Conflict while it has agents or when it is the default tenant.
    """
    row = _lock_tenant(conn, tenant_id)
    if tenant_id == DEFAULT_TENANT:
        raise Conflict("The default tenant cannot be deleted, as operators' keys act on it.")
    live = select(Agent.id).where(Agent.tenant_id == tenant_id, Agent.deleted_at.is_(None)).limit(1)
    if conn.execute(live).first() is not None:
        raise Conflict("The tenant still has agents; delete them first.")
    conn.execute(delete(Trigger).where(Trigger.tenant_id == tenant_id))
    conn.execute(delete(Agent).where(Agent.tenant_id == tenant_id))
    conn.execute(delete(Tenant).where(Tenant.id == tenant_id))
    name: str = row.name
    return name


def _lock_tenant(conn: Connection, tenant_id: UUID) -> Tenant:
    row = row_as(Tenant, conn.execute(select(TENANTS).where(Tenant.id == tenant_id).with_for_update()))
    if row is None:
        raise NotFound(MISSING.format(tenant_id))
    return row
