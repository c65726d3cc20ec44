"""The operations on web users, who sign in to the web UI. Passwords are stored as scrypt hashes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Forbidden, NotFound
from scheduler.domain.passwords import hash_password
from scheduler.manage.keys import Requester
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.tenants import get_tenant
from scheduler.storage.web_sessions import WebUserRow, change_user, create_user, delete_user, get_user, list_users


@dataclass(frozen=True, slots=True)
class WebUserSpec:
    """The input for a new web user; `tenant_id` None makes an operator."""

    tenant_id: UUID | None
    name: str
    password: str = field(repr=False)
    scope: str


class WebUsers:
    """The operations on web users. Every change is one transaction and writes an audit event.

    Hashing is slow on purpose, so it is done without holding a connection.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def create(self, who: Requester, spec: WebUserSpec) -> WebUserRow:
        """Creates a web user. Raises Forbidden, NotFound for the tenant, or Conflict for the name."""
        _check_owner(who, spec.tenant_id)
        values = {
            "tenant_id": spec.tenant_id,
            "name": spec.name,
            "password_hash": hash_password(spec.password, spec.name),
            "scope": spec.scope,
        }
        with self._db.begin() as conn:
            if spec.tenant_id is not None:
                get_tenant(conn, spec.tenant_id, keep=True)
            row = create_user(conn, values)
            _audit(conn, "created", row, who.actor, scope=row.scope)
        return row

    def list(self, who: Requester, *, limit: int, after: UUID | None = None) -> Sequence[WebUserRow]:
        """Lists the tenant's web users, newest first; for an operator the operators too."""
        with self._db.begin() as conn:
            return list_users(conn, who.tenant_id, operator=who.is_operator, limit=limit, after=after)

    def get(self, who: Requester, user_id: UUID) -> WebUserRow:
        """Returns one web user. Raises NotFound."""
        with self._db.begin() as conn:
            return _find(conn, who, user_id)

    def update(self, who: Requester, user_id: UUID, patch: Mapping[str, Any]) -> WebUserRow:
        """Changes a password or scope and ends the user's sessions. Raises NotFound."""
        values = {"scope": patch["scope"]} if "scope" in patch else {}
        if "password" in patch:
            values["password_hash"] = hash_password(patch["password"], self.get(who, user_id).name)
        with self._db.begin() as conn:
            row = _find(conn, who, user_id)
            if values:
                row = change_user(conn, row.id, values)
                _audit(conn, "updated", row, who.actor, fields=sorted(patch))
        return row

    def delete(self, who: Requester, user_id: UUID) -> None:
        """Deletes a web user, which ends the user's sessions. Raises NotFound."""
        with self._db.begin() as conn:
            row = _find(conn, who, user_id)
            delete_user(conn, row.id)
            _audit(conn, "deleted", row, who.actor)


def _check_owner(who: Requester, tenant_id: UUID | None) -> None:
    """Raises Forbidden for an operator, or NotFound for a tenant that the caller does not act for."""
    if who.is_operator or tenant_id == who.tenant_id:
        return
    if tenant_id is None:
        raise Forbidden("Only an operator's key can create operators.")
    raise NotFound(f"There is no tenant '{tenant_id}'.")


def _find(conn: Connection, who: Requester, user_id: UUID) -> WebUserRow:
    return get_user(conn, who.tenant_id, user_id, operator=who.is_operator)


def _audit(conn: Connection, verb: str, row: WebUserRow, actor: str, **detail: object) -> None:
    event = Event(f"web_user.{verb}", row.tenant_id, row.id, None, actor, {"name": row.name} | detail)
    record_events(conn, [event])
