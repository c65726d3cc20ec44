"""Stores the pauses of tenants and of the whole service. During a pause wakes are held and firings still recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, func, select, update

from scheduler.domain.errors import NotFound
from scheduler.storage.rows import one_as, row_as
from scheduler.storage.tables.tenants import ServicePause, Tenant

SERVICE_IS_PAUSED = "(SELECT s.is_paused FROM service_pause s)"
"""SQL: whether all tenants are paused."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Whether a tenant, or the service, is paused; why, by whom and since when."""

    is_paused: bool
    paused_note: str | None
    paused_by: str | None
    paused_at: datetime | None


def read_service_pause(conn: Connection) -> Pause:
    """Returns the pause of the whole service."""
    return one_as(Pause, conn.execute(select(*_columns(ServicePause))))


def read_tenant_pause(conn: Connection, tenant_id: UUID, *, lock: bool = False) -> Pause:
    """Returns a tenant's own pause; raises NotFound. `lock` locks the row until commit."""
    statement = select(*_columns(Tenant)).where(Tenant.id == tenant_id)
    found = row_as(Pause, conn.execute(statement.with_for_update(key_share=True) if lock else statement))
    if found is None:
        raise NotFound(f"There is no tenant '{tenant_id}'.")
    return found


def lock_service_pause(conn: Connection) -> Pause:
    """Returns the pause of the whole service, locked until commit."""
    return one_as(Pause, conn.execute(select(*_columns(ServicePause)).with_for_update(key_share=True)))


def write_pause(conn: Connection, tenant_id: UUID | None, actor: str | None, note: str | None) -> Pause:
    """Pauses a tenant, or the service (None), on behalf of `actor`; without `actor` it ends the pause."""
    table = ServicePause if tenant_id is None else Tenant
    values: dict[str, Any] = {
        "is_paused": actor is not None,
        "paused_note": note,
        "paused_by": actor,
        **({"resumed_at": func.clock_timestamp()} if actor is None else {}),
        "paused_at": None if actor is None else func.coalesce(table.paused_at, func.clock_timestamp()),
    }
    change = update(table).values(**values).returning(*_columns(table))
    return one_as(Pause, conn.execute(change if tenant_id is None else change.where(Tenant.id == tenant_id)))


def _columns(table: type[ServicePause | Tenant]) -> tuple[ColumnElement[Any], ...]:
    return (
        table.is_paused.expression,
        table.paused_note.expression,
        table.paused_by.expression,
        table.paused_at.expression,
    )
