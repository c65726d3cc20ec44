"""The operations on API keys: who may create which keys, and how keys end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.clock import Clock
from scheduler.domain.errors import Forbidden, InvalidField, NotFound
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.keys import (
    AGENT_PREFIX,
    EVERY_KEY,
    KeyFilter,
    KeyRow,
    NewKey,
    create_key,
    get_key,
    list_keys,
    revoke_key,
)
from scheduler.storage.tenants import get_tenant


@dataclass(frozen=True, slots=True)
class Requester:
    """The caller: someone acting for a tenant, or an operator, who acts for all."""

    tenant_id: UUID
    actor: str
    is_operator: bool = False


@dataclass(frozen=True, slots=True)
class KeySpec:
    """The input for a new key; `tenant_id` None makes an operator key."""

    tenant_id: UUID | None
    name: str
    scopes: Sequence[str]
    expires_at: datetime | None = None


class Keys:
    """The operations on API keys. Every change is one transaction and writes an audit event."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def create(self, who: Requester, spec: KeySpec) -> NewKey:
        """Creates a key, which is shown only this once.

        Raises Forbidden, NotFound for the tenant, or InvalidField.
        """
        _check_owner(who, spec.tenant_id)
        if spec.expires_at is not None and spec.expires_at <= self._clock.now():
            raise InvalidField("expires_at has already passed; choose a later time, or none.", field="expires_at")
        with self._db.begin() as conn:
            if spec.tenant_id is not None:
                get_tenant(conn, spec.tenant_id, keep=True)
            _check_agent(conn, spec.tenant_id, spec.scopes[0])
            made = create_key(
                conn, tenant_id=spec.tenant_id, name=spec.name, scopes=spec.scopes, expires_at=spec.expires_at
            )
            _audit(conn, "created", made.row, who.actor, scopes=list(spec.scopes))
        return made

    def list(
        self, who: Requester, wanted: KeyFilter = EVERY_KEY, *, limit: int, after: UUID | None = None
    ) -> Sequence[KeyRow]:
        """Lists live keys of the tenant, newest first; for an operator the operators' too."""
        with self._db.begin() as conn:
            return list_keys(conn, who.tenant_id, wanted, operator=who.is_operator, limit=limit, after=after)

    def get(self, who: Requester, key_id: UUID) -> KeyRow:
        """Returns one live key without its secret. Raises NotFound."""
        with self._db.begin() as conn:
            return get_key(conn, who.tenant_id, key_id, operator=who.is_operator)

    def revoke(self, who: Requester, key_id: UUID) -> None:
        """Revokes a key for good, at once. Raises NotFound, or Conflict on the operator's last admin key."""
        with self._db.begin() as conn:
            row = revoke_key(conn, who.tenant_id, key_id, operator=who.is_operator)
            _audit(conn, "revoked", row, who.actor)


def _check_owner(who: Requester, tenant_id: UUID | None) -> None:
    """Raises Forbidden for an operator key, or NotFound for a tenant that the caller does not act for."""
    if who.is_operator or tenant_id == who.tenant_id:
        return
    if tenant_id is None:
        raise Forbidden("Only an operator's key can create operators' keys.")
    raise NotFound(f"There is no tenant '{tenant_id}'.")


def _check_agent(conn: Connection, tenant_id: UUID | None, scope: str) -> None:
    """Refuses an `agent:ID` whose agent the tenant does not have. Such a scope must be the only one."""
    if not scope.startswith(AGENT_PREFIX):
        return
    if tenant_id is None:
        raise InvalidField("An operator's key cannot be restricted to an agent; give a tenant_id.", field="scopes")
    try:
        get_agent(conn, tenant_id, UUID(scope.removeprefix(AGENT_PREFIX)))
    except NotFound as error:
        raise InvalidField(error.message, field="scopes") from None


def _audit(conn: Connection, verb: str, row: KeyRow, actor: str, **detail: Any) -> None:
    about: dict[str, Any] = {"name": row.name, **detail, "prefix": row.prefix}
    record_event(conn, action=f"key.{verb}", tenant_id=row.tenant_id, subject_id=row.id, actor=actor, **about)
