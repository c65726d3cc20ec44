"""Resolves agents and triggers named in a list's filters, by id or name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select

from scheduler.domain.errors import InvalidField, NotFound
from scheduler.storage.tables.core import Agent, Trigger
from scheduler.triggers.registry import UNLISTED

SUGGESTED = 200
"""How many names a field suggests."""


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A table with ids and names, and the condition for listed rows."""

    what: str
    table: Any
    listed: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class NameMatch:
    """A match. `shown` is the name that finds it again, or its id when the name is ambiguous."""

    id: UUID
    shown: str


AGENTS = NamedTable("agent", Agent, (Agent.deleted_at.is_(None),))
TRIGGERS = NamedTable("trigger", Trigger, (Trigger.deleted_at.is_(None), Trigger.type.not_in(UNLISTED)))


def find_named(
    conn: Connection, tenant_id: UUID, named: NamedTable, reference: str, *, agent_id: UUID | None = None
) -> NameMatch:
    """Finds the agent or trigger by id, deleted ones included, or by name.

    Raises NotFound, and InvalidField when several triggers share the name; `agent_id` disambiguates.
    """
    table = named.table
    try:
        id_ = UUID(reference)
    except ValueError:
        return _by_name(conn, tenant_id, named, reference, agent_id)
    row = conn.execute(
        select(table.id, table.name).where(table.id == id_, table.tenant_id == tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no {named.what} {reference!r}.")
    same = select(table.id).where(table.tenant_id == tenant_id, table.name == row.name, *named.listed).limit(2)
    return NameMatch(row.id, row.name if conn.scalars(same).all() == [row.id] else str(row.id))


def suggest(conn: Connection, tenant_id: UUID, named: NamedTable) -> Sequence[str]:
    """Lists the names of the newest rows, alphabetically and without duplicates."""
    table = named.table
    newest = select(table.name).where(table.tenant_id == tenant_id, *named.listed)
    rows = conn.scalars(newest.order_by(table.id.desc()).limit(SUGGESTED))
    return sorted(set(rows), key=str.casefold)


def _by_name(conn: Connection, tenant_id: UUID, named: NamedTable, name: str, agent_id: UUID | None) -> NameMatch:
    table = named.table
    query = select(table.id, table.name).where(table.tenant_id == tenant_id, *named.listed)
    if agent_id is not None and table is Trigger:
        query = query.where(Trigger.agent_id == agent_id)
    rows = conn.execute(query.where(table.name == name).limit(2)).all()
    if not rows:
        rows = conn.execute(query.where(func.lower(table.name) == name.lower()).limit(2)).all()
    if not rows:
        raise NotFound(f"There is no {named.what} {name!r}.")
    if len(rows) > 1:
        raise InvalidField(f"Several are called {name!r}. Name the agent too, or give the ID.")
    return NameMatch(rows[0].id, rows[0].name)
