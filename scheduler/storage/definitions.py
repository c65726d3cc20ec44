"""Stores which objects `reveille apply` owns, and how they were last applied."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, ForeignKey, Index, any_, delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Uuid

from scheduler.storage.rows import rows_as
from scheduler.storage.tables.base import NOW, Base
from scheduler.storage.tables.log import AuditEvent

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


class Definition(Base):
    """An object that `reveille apply` made or took over."""

    __tablename__ = "definitions"
    __table_args__ = (Index("ix_definitions_tenant", "tenant_id"),)

    object_id: Mapped[UUID] = mapped_column(primary_key=True)
    """A model, an agent, a trigger or a target."""
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    kind: Mapped[str]
    set_name: Mapped[str]
    """Files that are applied together; pruning looks only at its own set."""
    is_made: Mapped[bool]
    """Whether apply created it; only then is it pruned."""
    applied: Mapped[dict[str, Any]]
    """The definition without secrets, as it was last applied: what differs was edited by hand."""
    applied_at: Mapped[datetime] = mapped_column(server_default=NOW)
    applied_by: Mapped[str]


def lock_definitions(conn: Connection, tenant_id: UUID) -> None:
    """Waits until nobody else applies definitions of this tenant."""
    conn.execute(LOCK, {"key": f"definitions:{tenant_id}"})


def read_marks(conn: Connection, tenant_id: UUID) -> dict[UUID, Definition]:
    """Returns the tenant's marks by object."""
    query = select(Definition.__table__).where(Definition.tenant_id == tenant_id)
    return {row.object_id: row for row in rows_as(Definition, conn.execute(query))}


def write_marks(conn: Connection, marks: Sequence[dict[str, Any]]) -> None:
    """Writes marks; an object that has one keeps who made it."""
    if not marks:
        return
    new = insert(Definition)
    changed = {name: new.excluded[name] for name in ("set_name", "applied", "applied_by")}
    statement = new.on_conflict_do_update(
        index_elements=["object_id"], set_=changed | {"applied_at": func.clock_timestamp()}
    )
    conn.execute(statement, marks)


def drop_marks(conn: Connection, object_ids: Collection[UUID]) -> None:
    """Deletes marks."""
    if object_ids:
        ids = literal(list(object_ids), ARRAY(Uuid()))
        conn.execute(delete(Definition).where(Definition.object_id == any_(ids)))


def last_change(conn: Connection, tenant_id: UUID, object_id: UUID) -> Any:
    """Returns who last changed an object, and when; None when nobody did."""
    return conn.execute(
        select(AuditEvent.actor, AuditEvent.at)
        .where(AuditEvent.tenant_id == tenant_id, AuditEvent.subject_id == object_id)
        .order_by(AuditEvent.id.desc())
        .limit(1)
    ).one_or_none()
