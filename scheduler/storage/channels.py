"""Stores channels, through which people on a chat provider reach an agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, or_, select, text, update

from scheduler.domain.errors import NotFound
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.message_tables import Channel
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables import Agent

CHANNELS = Channel.__table__
DUPLICATE = "There is already a channel with that name; choose another."
NOTE_LENGTH = 200
NOTE_EVERY = text("interval '1 second'")
"""The minimum time between updates of a channel's row, so that callers cannot force more."""


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
