"""Stores which sockets are open. Web processes refresh their rows periodically."""

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
"""When other processes remove the rows of a killed process. They stop counting long before."""


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """An open socket that watches one session or one user."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID | None
    user_id: UUID | None
    session_id: UUID | None


def show_sockets(conn: Connection, sockets: Sequence[OpenSocket]) -> None:
    """Marks these sockets as open now."""
    if sockets:
        shown = insert(LiveSocket).values([asdict(each) for each in sockets])
        conn.execute(shown.on_conflict_do_update(index_elements=["id"], set_={"seen_at": func.clock_timestamp()}))
    conn.execute(delete(LiveSocket).where(LiveSocket.seen_at < func.clock_timestamp() - KEPT_FOR))


def hide_sockets(conn: Connection, ids: Collection[UUID]) -> None:
    """Removes these sockets."""
    conn.execute(delete(LiveSocket).where(LiveSocket.id.in_(ids)))


def live_keys(conn: Connection, key_ids: Collection[UUID]) -> set[UUID]:
    """Returns those of `key_ids` that are not revoked."""
    unexpired = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.clock_timestamp())
    return set(
        conn.scalars(select(ApiKey.id).where(ApiKey.id.in_(key_ids), ApiKey.revoked_at.is_(None), unexpired))
    )
