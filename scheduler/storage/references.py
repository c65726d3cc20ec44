"""Resolves an id or exact name within a tenant; refuses unknown ones with the closest matches."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from scheduler.domain.errors import InvalidField
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.messages import Session, User

MAX_CANDIDATES = 1000
"""The most names that are searched for close matches."""
SHOWN = 5


def find_reference(conn: Connection, tenant_id: UUID, field: str, reference: str) -> str:
    """Returns the id of the agent, user or session that config `field` names; raises InvalidField on `field`."""
    if field == "session_id":
        return str(_session(conn, tenant_id, field, reference))
    return str((find_agent if field == "from_agent" else find_user)(conn, tenant_id, field, reference))


def find_agent(conn: Connection, tenant_id: UUID, field: str, reference: str) -> UUID:
    """Returns the agent with this id or name. Raises InvalidField on `field`."""
    query = select(Agent.id, Agent.name).where(Agent.tenant_id == tenant_id, Agent.deleted_at.is_(None))
    return _only(conn, query, field, reference, "agent", Agent.id == _as_id(reference), Agent.name == reference)


def find_user(conn: Connection, tenant_id: UUID, field: str, reference: str) -> UUID:
    """Returns the user with this id, name or display name. Raises InvalidField on `field`."""
    query = select(User.id, User.name, User.display_name).where(User.tenant_id == tenant_id)
    named = or_(User.name == reference, User.display_name == reference)
    return _only(conn, query, field, reference, "user", User.id == _as_id(reference), named)


def _session(conn: Connection, tenant_id: UUID, field: str, reference: str) -> UUID:
    query = select(Session.id).where(Session.tenant_id == tenant_id, Session.is_reflection.is_(False))
    found: UUID | None = conn.scalar(query.where(Session.id == _as_id(reference)))
    if found is None:
        raise InvalidField(f"There is no session {reference!r}.", field=field)
    return found


def _only(
    conn: Connection,
    query: Select[*tuple[Any, ...]],
    field: str,
    reference: str,
    what: str,
    by_id: ColumnElement[bool],
    by_name: ColumnElement[bool],
) -> UUID:
    found = conn.execute(query.where(by_id)).all() or conn.execute(query.where(by_name).limit(SHOWN)).all()
    if len(found) == 1:
        only: UUID = found[0].id
        return only
    if found:
        which = ", ".join(f"{row.name} ({row.id})" for row in found)
        raise InvalidField(f"{reference!r} is the name of more than one {what}; give an id: {which}.", field=field)
    known = conn.execute(query.limit(MAX_CANDIDATES)).all()
    near = _nearest(reference, [name for row in known for name in row[1:] if name])
    raise InvalidField(f"There is no {what} {reference!r} in this tenant; {near}.", field=field)


def _nearest(reference: str, names: Sequence[str]) -> str:
    near = get_close_matches(reference, names, n=SHOWN, cutoff=0.5) or names[:SHOWN]
    return f"there is {', '.join(map(repr, dict.fromkeys(near)))}" if near else "it has none"


def _as_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None
