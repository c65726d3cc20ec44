"""Stores API keys as hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, any_, bindparam, func, insert, or_, select, update

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_token, token_hash
from scheduler.storage.read_models.spans import EVER, Span, within
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables.tenants import ApiKey

ADMIN = "admin"
AGENT_PREFIX = "agent:"
"""The prefix of the scope of a key restricted to one agent, followed by the agent's id."""
KEY_PREFIX = "rvl_"
KEY_BITS = 256
SHOWN_LENGTH = 8

COLUMNS: tuple[Any, ...] = (
    ApiKey.id,
    ApiKey.tenant_id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.scopes,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.last_used_at,
)


_UNEXPIRED = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.clock_timestamp())
_IS_NOTED = func.coalesce(ApiKey.last_used_at > func.clock_timestamp() - timedelta(minutes=1), False).label(
    "is_noted"
)
"""Whether the use was recorded within the last minute, which is the precision of `last_used_at`."""


FIND_KEY = select(*COLUMNS, _IS_NOTED).where(
    ApiKey.key_hash == bindparam("key_hash"), ApiKey.revoked_at.is_(None), _UNEXPIRED
)


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Filters keys.

    `text` matches part of the name, case-insensitively; `scope` may be `agent`, for any agent's; `span` is when
    they were created.
    """

    text: str | None = None
    scope: str | None = None
    span: Span = EVER


EVERY_KEY = KeyFilter()


@dataclass(frozen=True, slots=True)
class KeyRow:
    """An API key without its secret."""

    id: UUID
    tenant_id: UUID | None
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class _FoundKey(KeyRow):
    """A key, and whether its use was recorded within the last minute."""

    is_noted: bool


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just created. This is the only time `key` itself is known."""

    key: str
    row: KeyRow


def find_key(conn: Connection, key: str) -> KeyRow | None:
    """Finds a live key and records its use; returns None when it is unknown, revoked or expired."""
    found = row_as(_FoundKey, conn.execute(FIND_KEY, {"key_hash": token_hash(key)}))
    if found is not None and not found.is_noted:
        # SKIP LOCKED: concurrent requests need not wait, as the time is only exact to a minute.
        locked = select(ApiKey.id).where(ApiKey.id == found.id).with_for_update(skip_locked=True).scalar_subquery()
        conn.execute(update(ApiKey).where(ApiKey.id == locked).values(last_used_at=func.clock_timestamp()))
    return found


def create_key(
    conn: Connection,
    *,
    tenant_id: UUID | None,
    name: str,
    scopes: Sequence[str],
    key: str | None = None,
    expires_at: datetime | None = None,
) -> NewKey:
    """Creates a random key, or stores the given `key` of the operator. `tenant_id` None makes an operator key."""
    is_own = key is not None  # no part of a human-chosen key is stored in the clear
    key = key or KEY_PREFIX + new_token(KEY_BITS)
    row = one_as(
        KeyRow,
        conn.execute(
            insert(ApiKey)
            .values(
                tenant_id=tenant_id,
                name=name,
                prefix="" if is_own else key[:SHOWN_LENGTH],
                key_hash=token_hash(key),
                scopes=list(scopes),
                expires_at=expires_at,
            )
            .returning(*COLUMNS)
        ),
    )
    return NewKey(key, row)


def get_key(conn: Connection, tenant_id: UUID, key_id: UUID, *, operator: bool) -> KeyRow:
    """Returns a live key of the tenant, or for an `operator` an operator key too; raises NotFound."""
    row = row_as(KeyRow, conn.execute(_visible(tenant_id, operator=operator).where(ApiKey.id == key_id)))
    if row is None:
        raise NotFound(f"There is no key '{key_id}'.")
    return row


def list_keys(
    conn: Connection,
    tenant_id: UUID,
    wanted: KeyFilter = EVERY_KEY,
    *,
    operator: bool,
    limit: int,
    after: UUID | None = None,
) -> Sequence[KeyRow]:
    """Lists up to `limit` live keys visible to the caller, newest first, older than `after`."""
    statement = _visible(tenant_id, operator=operator).order_by(ApiKey.id.desc()).limit(limit)
    statement = within(statement, wanted.span, ApiKey.created_at, ApiKey.id)
    if wanted.text is not None:
        statement = statement.where(ApiKey.name.icontains(wanted.text, autoescape=True))
    if wanted.scope == AGENT_PREFIX[:-1]:
        statement = statement.where(ApiKey.scopes[1].startswith(AGENT_PREFIX))
    elif wanted.scope is not None:
        statement = statement.where(any_(ApiKey.scopes) == wanted.scope)
    if after is not None:
        statement = statement.where(ApiKey.id < after)
    return rows_as(KeyRow, conn.execute(statement))


def revoke_key(conn: Connection, tenant_id: UUID, key_id: UUID, *, operator: bool) -> KeyRow:
    """Revokes a key for good. Raises NotFound, or Conflict on the last admin key of the operator.

    A tenant's last admin key may be revoked, since an operator can create another. Nobody could do that for the
    operator.
    """
    row = get_key(conn, tenant_id, key_id, operator=operator)
    if row.tenant_id is None and ADMIN in row.scopes:
        admins = conn.scalars(
            select(ApiKey.id)
            .where(ApiKey.tenant_id.is_(None), any_(ApiKey.scopes) == ADMIN, ApiKey.revoked_at.is_(None))
            .order_by(ApiKey.id)
            .with_for_update()
        ).all()
        if list(admins) == [key_id]:
            raise Conflict("This is the operator's last admin key; create another before you revoke it.")
    conn.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
    )
    return row


def revoke_agent_keys(conn: Connection, agent_ids: Sequence[UUID]) -> None:
    """Revokes the keys that are restricted to these agents."""
    scopes = [f"{AGENT_PREFIX}{each}" for each in agent_ids]
    conn.execute(
        update(ApiKey)
        .where(ApiKey.scopes.bool_op("&&")(scopes), ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
    )


def _visible(tenant_id: UUID, *, operator: bool) -> Select[Any]:
    owner = ApiKey.tenant_id == tenant_id
    return select(*COLUMNS).where(
        or_(owner, ApiKey.tenant_id.is_(None)) if operator else owner, ApiKey.revoked_at.is_(None), _UNEXPIRED
    )
