"""Stores which sockets are open; the web processes renew it again and again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from scheduler.storage.notification_tables import LiveSocket
from scheduler.storage.web_tables import ApiKey

KEPT_FOR = timedelta(minutes=5)
"""The rows of a process that was killed are removed by any other one then; they count for nothing long before."""


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """A socket that watches for one session or one user."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID | None
    user_id: UUID | None
    session_id: UUID | None


def show_sockets(conn: Connection, sockets: Sequence[OpenSocket]) -> None:
    """Say that these are open, now."""
    if sockets:
        shown = insert(LiveSocket).values([asdict(each) for each in sockets])
        conn.execute(shown.on_conflict_do_update(index_elements=["id"], set_={"seen_at": func.clock_timestamp()}))
    conn.execute(delete(LiveSocket).where(LiveSocket.seen_at < func.clock_timestamp() - KEPT_FOR))


def hide_sockets(conn: Connection, ids: Collection[UUID]) -> None:
    """Say that these are closed."""
    conn.execute(delete(LiveSocket).where(LiveSocket.id.in_(ids)))


def live_keys(conn: Connection, key_ids: Collection[UUID]) -> set[UUID]:
    """Those of `key_ids` that were not revoked."""
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.clock_timestamp())
    return set(
        conn.scalars(select(ApiKey.id).where(ApiKey.id.in_(key_ids), ApiKey.revoked_at.is_(None), unexpired))
    )
