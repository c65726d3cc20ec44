"""Stores channels, through which people on a chat provider reach an agent, and those people: users, with their
identities on channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, delete, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_id
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables.core import Agent
from scheduler.storage.tables.messages import Channel, User, UserAccount

CHANNELS = Channel.__table__
DUPLICATE = "There is already a channel with that name; choose another."
NOTE_LENGTH = 200
NOTE_EVERY = text("interval '1 second'")
"""The minimum time between updates of a channel's row, so that callers cannot force more."""
DUPLICATE_USER = "There is already a user with that name; choose another."
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


def get_channel(conn: Connection, tenant_id: UUID, channel_id: UUID, *, lock: bool = False) -> Channel:
    """Returns a tenant's channel; raises NotFound. `lock` locks the row until commit."""
    statement = select(CHANNELS).where(Channel.id == channel_id, Channel.tenant_id == tenant_id)
    row = row_as(Channel, conn.execute(statement.with_for_update() if lock else statement))
    if row is None:
        raise NotFound(f"There is no channel '{channel_id}'.")
    return row


def list_channels(
    conn: Connection, tenant_id: UUID, *, limit: int, after: UUID | None = None
) -> Sequence[Channel]:
    """Lists up to `limit` of a tenant's channels, newest first, older than `after`."""
    statement = select(CHANNELS).where(Channel.tenant_id == tenant_id)
    if after is not None:
        statement = statement.where(Channel.id < after)
    return rows_as(Channel, conn.execute(statement.order_by(Channel.id.desc()).limit(limit)))


def create_channel(conn: Connection, tenant_id: UUID, values: Mapping[str, Any]) -> Channel:
    """Creates a channel from column `values`. Raises Conflict if the name is taken."""
    with refuse_duplicate("uq_channels_tenant_name", DUPLICATE):
        return one_as(
            Channel, conn.execute(insert(Channel).values(tenant_id=tenant_id, **values).returning(CHANNELS))
        )


def update_channel(conn: Connection, channel_id: UUID, values: Mapping[str, Any]) -> Channel:
    """Updates columns of a channel that the caller has locked. Raises Conflict if the name is taken."""
    with refuse_duplicate("uq_channels_tenant_name", DUPLICATE):
        return one_as(
            Channel,
            conn.execute(
                update(Channel)
                .where(Channel.id == channel_id)
                .values(updated_at=func.clock_timestamp(), **values)
                .returning(CHANNELS)
            ),
        )


def delete_channel(conn: Connection, channel_id: UUID) -> None:
    """Deletes a channel. Its messages stay."""
    conn.execute(delete(Channel).where(Channel.id == channel_id))


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """An enabled channel as of `now`, the database's clock."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    kind: str
    name: str
    secrets: bytes
    bot_user_id: str | None
    now: datetime


def find_open_channel(conn: Connection, channel_id: UUID) -> OpenChannel:
    """Returns an enabled channel of an existing agent, with the database's clock as `now`. Raises NotFound."""
    row = row_as(
        OpenChannel,
        conn.execute(
            select(CHANNELS, func.clock_timestamp().label("now"))
            .join(Agent, Agent.id == Channel.agent_id)
            .where(Channel.id == channel_id, Channel.is_enabled, Agent.deleted_at.is_(None))
        ),
    )
    if row is None:
        raise NotFound("There is no such channel, or it is disabled.")
    return row


def note_event(conn: Connection, channel_id: UUID, note: str) -> None:
    """Stores why an event produced no message, at most once a second."""
    conn.execute(
        update(Channel)
        .where(
            Channel.id == channel_id,
            or_(Channel.noted_at.is_(None), Channel.noted_at < func.clock_timestamp() - NOTE_EVERY),
        )
        .values(note=note[:NOTE_LENGTH], noted_at=func.clock_timestamp())
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
    with refuse_duplicate("uq_users_tenant_name", DUPLICATE_USER):
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
