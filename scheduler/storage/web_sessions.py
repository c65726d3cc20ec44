"""Stores web users with passwords and their sign-in sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, delete, func, insert, or_, select, tuple_, update

from scheduler.domain.errors import NotFound
from scheduler.domain.ids import new_token, token_hash
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.read_models.spans import EVER, Span
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables.tenants import ApiKey, Tenant, WebSession, WebUser

LIFETIME = timedelta(days=7)
IDLE = timedelta(hours=24)
"""A session ends after LIFETIME, or after being idle for this long."""
NOTED = timedelta(minutes=5)
"""How often `seen_at` is updated at most."""
TOKEN_BITS = 256
TAKEN = "That name is taken; choose another."

NOW = func.clock_timestamp()
SHOWN: tuple[Any, ...] = (WebUser.id, WebUser.tenant_id, WebUser.name, WebUser.scope, WebUser.created_at)


IS_LIVE = (
    WebSession.expires_at > NOW,
    WebSession.seen_at > NOW - IDLE,
    ApiKey.revoked_at.is_(None),
    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > NOW),
)
"""A condition on a session joined with its key, if it has one: neither has ended."""


@dataclass(frozen=True, slots=True)
class SessionOwner:
    """The owner of a session."""

    kind: str
    """`key` or `user`."""
    id: UUID
    name: str
    own_tenant_id: UUID | None
    """None: an operator, who chooses `tenant_id`."""
    scopes: list[str]
    tenant_id: UUID
    tenant_name: str
    timezone: str
    """The tenant's."""


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session in a list. `id` identifies it there; `tenant_id` None means that its owner is an operator."""

    id: str
    kind: str
    owner_id: UUID
    name: str
    tenant_id: UUID | None
    created_at: datetime
    seen_at: datetime
    is_this: bool


@dataclass(frozen=True, slots=True)
class SignInFilter:
    """Filters sessions. `text` matches part of the name, case-insensitively; `span` is when they started."""

    text: str | None = None
    kind: str | None = None
    span: Span = EVER
    id: str | None = None


EVERY_SIGN_IN = SignInFilter()


@dataclass(frozen=True, slots=True)
class SignInScope:
    """Whose sessions are listed: those of one key or user, else the tenant's, else all."""

    owner_id: UUID | None = None
    tenant_id: UUID | None = None


def list_sessions(
    conn: Connection,
    wanted: SignInFilter,
    scope: SignInScope,
    token: str = "",  # nosec B107  # none is given
    *,
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> list[ListedSession]:
    """Lists live sessions, newest first, from the one with this `created_at` and `id` on; `token` is this one's."""
    name = func.coalesce(WebUser.name, ApiKey.name)
    tenant_id = func.coalesce(WebUser.tenant_id, ApiKey.tenant_id)
    query = (
        select(
            *WebSession.__table__.columns,
            name.label("name"),
            tenant_id.label("own_tenant_id"),
        )
        .join(WebUser, WebUser.id == WebSession.user_id, isouter=True)
        .join(ApiKey, ApiKey.id == WebSession.key_id, isouter=True)
        .where(*IS_LIVE)
        .order_by(WebSession.created_at.desc(), WebSession.token_hash.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(
            tuple_(WebSession.created_at, WebSession.token_hash) < (after[0], bytes.fromhex(after[1]))
        )
    if scope.owner_id is not None:
        query = query.where(or_(WebSession.user_id == scope.owner_id, WebSession.key_id == scope.owner_id))
    elif scope.tenant_id is not None:
        query = query.where(tenant_id == scope.tenant_id)
    if wanted.text is not None:
        query = query.where(name.icontains(wanted.text, autoescape=True))
    if wanted.kind is not None:
        query = query.where((WebSession.user_id if wanted.kind == "user" else WebSession.key_id).is_not(None))
    if wanted.span.since is not None:
        query = query.where(WebSession.created_at >= wanted.span.since)
    if wanted.span.until is not None:
        query = query.where(WebSession.created_at <= wanted.span.until)
    if wanted.id is not None:
        query = query.where(func.encode(WebSession.token_hash, "hex") == wanted.id)
    this = token_hash(token)
    return [
        ListedSession(
            row.token_hash.hex(),
            "user" if row.user_id else "key",
            row.user_id or row.key_id,
            row.name,
            row.own_tenant_id,
            row.created_at,
            row.seen_at,
            bytes(row.token_hash) == this,
        )
        for row in conn.execute(query)
    ]


def end_shown(conn: Connection, session: ListedSession) -> None:
    """Ends a session from the list. Its live connections are closed at their next check."""
    conn.execute(delete(WebSession).where(WebSession.token_hash == bytes.fromhex(session.id)))


def start_session(
    conn: Connection, tenant_id: UUID, *, key_id: UUID | None = None, user_id: UUID | None = None
) -> str:
    """Signs in a key or a user and returns the new session's token. Removes expired sessions."""
    conn.execute(delete(WebSession).where(or_(WebSession.expires_at < NOW, WebSession.seen_at < NOW - IDLE)))
    token = new_token(TOKEN_BITS)
    conn.execute(
        insert(WebSession).values(
            token_hash=token_hash(token),
            key_id=key_id,
            user_id=user_id,
            tenant_id=tenant_id,
            expires_at=NOW + LIFETIME,
        )
    )
    return token


def find_session(conn: Connection, token: str) -> SessionOwner | None:
    """Returns the owner of a live session whose key or user still exists."""
    row = conn.execute(
        select(
            WebSession.tenant_id,
            (WebSession.seen_at < NOW - NOTED).label("is_stale"),
            WebUser.id.label("user_id"),
            WebUser.name.label("user_name"),
            WebUser.tenant_id.label("user_tenant_id"),
            WebUser.scope,
            ApiKey.id.label("key_id"),
            ApiKey.name.label("key_name"),
            ApiKey.tenant_id.label("key_tenant_id"),
            ApiKey.scopes,
            Tenant.name.label("tenant_name"),
            Tenant.timezone,
        )
        .join(Tenant, Tenant.id == WebSession.tenant_id)
        .join(WebUser, WebUser.id == WebSession.user_id, isouter=True)
        .join(ApiKey, ApiKey.id == WebSession.key_id, isouter=True)
        .where(
            WebSession.token_hash == token_hash(token),
            *IS_LIVE,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.is_stale:
        conn.execute(update(WebSession).where(WebSession.token_hash == token_hash(token)).values(seen_at=NOW))
    tenant = (row.tenant_id, row.tenant_name, row.timezone)
    if row.user_id is not None:
        return SessionOwner("user", row.user_id, row.user_name, row.user_tenant_id, [row.scope], *tenant)
    return SessionOwner("key", row.key_id, row.key_name, row.key_tenant_id, row.scopes, *tenant)


def live_sessions(conn: Connection, tokens: Collection[str]) -> set[str]:
    """Returns those of `tokens` that are still signed in."""
    by_hash = {token_hash(token): token for token in tokens}
    found = conn.scalars(
        select(WebSession.token_hash)
        .join(ApiKey, ApiKey.id == WebSession.key_id, isouter=True)
        .where(
            WebSession.token_hash.in_(by_hash),
            *IS_LIVE,
        )
    )
    return {by_hash[each] for each in found}


def choose_tenant(conn: Connection, token: str, tenant_id: UUID) -> None:
    """Switches an operator's session to another tenant, whose existence the caller has checked."""
    conn.execute(update(WebSession).where(WebSession.token_hash == token_hash(token)).values(tenant_id=tenant_id))


def end_session(conn: Connection, token: str) -> None:
    """Ends a session."""
    conn.execute(delete(WebSession).where(WebSession.token_hash == token_hash(token)))


@dataclass(frozen=True, slots=True)
class WebUserRow:
    """A web user without the password."""

    id: UUID
    tenant_id: UUID | None
    name: str
    scope: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UserWithPassword(WebUserRow):
    """A web user with the hash of the password."""

    password_hash: str


def find_user(conn: Connection, name: str) -> UserWithPassword | None:
    """Returns the user of that name with the password hash."""
    columns: tuple[Any, ...] = (*SHOWN, WebUser.password_hash)
    return row_as(UserWithPassword, conn.execute(select(*columns).where(WebUser.name == name)))


def create_user(conn: Connection, values: Mapping[str, Any]) -> WebUserRow:
    """Creates a user. Raises Conflict if the name is taken in any tenant."""
    with refuse_duplicate("uq_web_users_name", TAKEN):
        return one_as(WebUserRow, conn.execute(insert(WebUser).values(**values).returning(*SHOWN)))


def get_user(conn: Connection, tenant_id: UUID, user_id: UUID, *, operator: bool) -> WebUserRow:
    """Returns a user of the tenant, or for an `operator` any operator too; raises NotFound."""
    row = row_as(WebUserRow, conn.execute(_visible(tenant_id, operator=operator).where(WebUser.id == user_id)))
    if row is None:
        raise NotFound(f"There is no web user '{user_id}'.")
    return row


def list_users(
    conn: Connection, tenant_id: UUID, *, operator: bool, limit: int, after: UUID | None = None
) -> Sequence[WebUserRow]:
    """Lists up to `limit` users visible to the caller, newest first, older than `after`."""
    query = _visible(tenant_id, operator=operator).order_by(WebUser.id.desc()).limit(limit)
    return rows_as(WebUserRow, conn.execute(query if after is None else query.where(WebUser.id < after)))


def change_user(conn: Connection, user_id: UUID, values: Mapping[str, Any]) -> WebUserRow:
    """Changes the password or scope of a user found by the caller, and ends the user's sessions."""
    conn.execute(delete(WebSession).where(WebSession.user_id == user_id))
    return one_as(
        WebUserRow, conn.execute(update(WebUser).where(WebUser.id == user_id).values(**values).returning(*SHOWN))
    )


def delete_user(conn: Connection, user_id: UUID) -> None:
    """Deletes a user, which ends the user's sessions."""
    conn.execute(delete(WebUser).where(WebUser.id == user_id))


def _visible(tenant_id: UUID, *, operator: bool) -> Select[Any]:
    owner = WebUser.tenant_id == tenant_id
    return select(*SHOWN).where(or_(owner, WebUser.tenant_id.is_(None)) if operator else owner)
