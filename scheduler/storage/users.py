"""Stores users: people who write to agents, and their identities on channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as pg_insert

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_id
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.message_tables import User, UserAccount
from scheduler.storage.rows import row_as, rows_as

DUPLICATE = "There is already a user with that name; choose another."
LONGEST_NAME = 200

_ACCOUNTS = (
    select(func.jsonb_object_agg(UserAccount.channel, UserAccount.external_id))
    .where(UserAccount.user_id == User.id)
    .scalar_subquery()
)
_COLUMNS: tuple[Any, ...] = (
    *User.__table__.columns,
    func.coalesce(_ACCOUNTS, text("'{}'::jsonb")).label("external_ids"),
)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user with the identities on channels, by channel."""

    id: UUID
    tenant_id: UUID
    name: str
    display_name: str
    created_at: datetime
    external_ids: dict[str, str]


def create_user(
    conn: Connection, tenant_id: UUID, *, name: str, display_name: str, external_ids: Mapping[str, str]
) -> UserRow:
    """Creates a user. Raises Conflict if the name or a channel identity is taken."""
    user_id = new_id()
    with refuse_duplicate("uq_users_tenant_name", DUPLICATE):
        conn.execute(insert(User).values(id=user_id, tenant_id=tenant_id, name=name, display_name=display_name))
    for channel, external_id in external_ids.items():
        if _add_account(conn, tenant_id, channel, external_id, user_id) != user_id:
            raise Conflict(
                f"{external_id!r} on {channel} already belongs to another user.", field=f"external_ids.{channel}"
            )
    return get_user(conn, tenant_id, user_id)


def get_user(conn: Connection, tenant_id: UUID, user_id: UUID) -> UserRow:
    """Returns a tenant's user with `external_ids`; raises NotFound."""
    row = row_as(UserRow, conn.execute(_users(tenant_id).where(User.id == user_id)))
    if row is None:
        raise NotFound(f"There is no user '{user_id}'.")
    return row


def list_users(conn: Connection, tenant_id: UUID, *, limit: int, after: UUID | None = None) -> Sequence[UserRow]:
    """Lists up to `limit` of a tenant's users, newest first, older than `after`."""
    query = _users(tenant_id)
    if after is not None:
        query = query.where(User.id < after)
    return rows_as(UserRow, conn.execute(query.order_by(User.id.desc()).limit(limit)))


def user_of_account(
    conn: Connection, tenant_id: UUID, channel: str, external_id: str, display_name: str | None = None
) -> UUID:
    """Returns the user with this `external_id` on `channel`; creates one named `CHANNEL:EXTERNAL_ID` if needed."""
    account = (UserAccount.tenant_id == tenant_id, UserAccount.channel == channel)
    known = conn.scalar(select(UserAccount.user_id).where(*account, UserAccount.external_id == external_id))
    if known is not None:
        return known
    name = f"{channel}:{external_id}"[:LONGEST_NAME]
    shown = (display_name or "")[:LONGEST_NAME]
    conn.execute(
        pg_insert(User)
        .values(id=new_id(), tenant_id=tenant_id, name=name, display_name=shown)
        .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
    )
    made = conn.execute(select(User.id).where(User.tenant_id == tenant_id, User.name == name)).scalar_one()
    return _add_account(conn, tenant_id, channel, external_id, made)


def _add_account(conn: Connection, tenant_id: UUID, channel: str, external_id: str, user_id: UUID) -> UUID:
    """Adds a channel identity to `user_id` and returns its owner, who may be an earlier one."""
    account = {"tenant_id": tenant_id, "channel": channel, "external_id": external_id}
    conn.execute(pg_insert(UserAccount).values(**account, user_id=user_id).on_conflict_do_nothing())
    return conn.execute(
        select(UserAccount.user_id).where(
            UserAccount.tenant_id == tenant_id,
            UserAccount.channel == channel,
            UserAccount.external_id == external_id,
        )
    ).scalar_one()


def _users(tenant_id: UUID) -> Select[*tuple[Any, ...]]:
    return select(*_COLUMNS).where(User.tenant_id == tenant_id)
