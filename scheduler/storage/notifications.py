"""Reads notifications as watchers receive them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.arrays import array
from scheduler.storage.rows import rows_as

MOST_MISSED = 200

_READ = """
    SELECT n.id, n.tenant_id, n.agent_id, n.invocation_id, n.summary, n.triggers, n.session_ids,
        coalesce(n.failure, i.reply, '') AS reply,
        ARRAY(SELECT DISTINCT s.user_id FROM sessions s WHERE s.id = ANY (n.session_ids)) AS user_ids
    FROM notifications n LEFT JOIN invocations i ON i.id = n.invocation_id
"""
READ = text(_READ + "WHERE n.id = ANY(CAST(:ids AS uuid[])) ORDER BY n.id")
READ_SINCE = text(_READ + "WHERE n.created_at >= :since ORDER BY n.created_at DESC LIMIT :limit")


@dataclass(frozen=True, slots=True)
class PushedNotification:
    """A notification as watchers receive it."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    invocation_id: UUID
    summary: str
    triggers: list[str]
    session_ids: list[UUID]
    reply: str
    user_ids: list[UUID]
    """The users of those sessions."""


def read_notifications(conn: Connection, ids: Collection[UUID]) -> list[PushedNotification]:
    """Reads notifications by id, oldest first."""
    return rows_as(PushedNotification, conn.execute(READ, {"ids": array(ids)}))


def read_missed(conn: Connection, since: datetime) -> list[PushedNotification]:
    """Reads the notifications of all tenants since a time, oldest first; if there are too many, the newest of
    them.
    """
    return rows_as(PushedNotification, conn.execute(READ_SINCE, {"since": since, "limit": MOST_MISSED}))[::-1]
