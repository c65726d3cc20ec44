"""Notifications: who has a session open, what a run has to tell, and what was told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, text

from scheduler.domain.ids import new_id
from scheduler.storage.arrays import array
from scheduler.storage.message_tables import Message
from scheduler.storage.notification_tables import Notification

OPEN_FOR = timedelta(seconds=45)
"""How long a socket counts as open after its process last showed it: three of its beats."""
MOST_MISSED = 200

READ_RUN = text("""
    SELECT f.tenant_id, f.agent_id, f.trigger_id, f.trigger_name, f.trigger_type, f.reason, f.trust,
        f.root_id, f.depth, t.notification_summary, coalesce(t.is_system, false) AS is_system, a.language,
        f.data #>> '{messages,0,from,type}' AS sender_type, f.data #>> '{messages,0,from,name}' AS sender_name,
        left(f.data #>> '{messages,0,text}', 200) AS text, f.data #>> '{messages,0,session_id}' AS session_id
    FROM firings f JOIN agents a ON a.id = f.agent_id LEFT JOIN triggers t ON t.id = f.trigger_id
    WHERE f.invocation_id = :id ORDER BY f.id
""")

# A socket that names only a user has that user's newest session with the agent open.
OPEN_SESSIONS = text("""
    SELECT s.id, s.channel FROM sessions s
    WHERE s.agent_id = :agent_id AND s.user_id IS NOT NULL AND NOT s.is_reflection AND s.id IN (
        SELECT w.session_id FROM live_sockets w
        WHERE w.tenant_id = :tenant_id AND w.session_id IS NOT NULL AND w.seen_at > clock_timestamp() - :open_for
        UNION ALL
        SELECT newest.id FROM live_sockets w CROSS JOIN LATERAL (
            SELECT u.id FROM sessions u
            WHERE u.agent_id = :agent_id AND u.user_id = w.user_id AND NOT u.is_reflection
            ORDER BY u.id DESC LIMIT 1
        ) newest
        WHERE w.tenant_id = :tenant_id AND w.user_id IS NOT NULL AND w.session_id IS NULL
            AND coalesce(w.agent_id, :agent_id) = :agent_id AND w.seen_at > clock_timestamp() - :open_for
    )
    ORDER BY s.id
""")

# Where a person last wrote to the agent; if nobody did, the newest session with a person.
LATEST_SESSION = text("""
    SELECT s.id, s.channel FROM sessions s WHERE s.id = coalesce(
        (
            SELECT m.session_id FROM messages m WHERE m.to_agent_id = :agent_id AND m.from_type = 'user'
            ORDER BY m.created_at DESC LIMIT 1
        ),
        (
            SELECT u.id FROM sessions u
            WHERE u.agent_id = :agent_id AND u.user_id IS NOT NULL AND NOT u.is_reflection
            ORDER BY u.id DESC LIMIT 1
        )
    )
""")

_READ = """
    SELECT n.id, n.tenant_id, n.agent_id, n.invocation_id, n.summary, n.triggers, n.session_ids,
        coalesce(n.failure, i.reply, '') AS reply,
        ARRAY(SELECT DISTINCT s.user_id FROM sessions s WHERE s.id = ANY (n.session_ids)) AS user_ids
    FROM notifications n LEFT JOIN invocations i ON i.id = n.invocation_id
"""
READ = text(_READ + "WHERE n.id = ANY(CAST(:ids AS uuid[])) ORDER BY n.id")
READ_SINCE = text(_READ + "WHERE n.created_at >= :since ORDER BY n.created_at DESC LIMIT :limit")


@dataclass(frozen=True, slots=True)
class Told:
    """A notification as whoever watches gets it."""

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


def read_run(conn: Connection, invocation_id: UUID) -> Sequence[Row[Any]]:
    """The firings of an invocation with what their triggers tell people, and the agent's language."""
    return conn.execute(READ_RUN, {"id": invocation_id}).all()


def sessions_to_tell(conn: Connection, tenant_id: UUID, agent_id: UUID) -> Sequence[Row[Any]]:
    """The `(id, channel)` of the agent's open sessions, else of its latest one with a person; none if it has none."""
    values = {"tenant_id": tenant_id, "agent_id": agent_id, "open_for": OPEN_FOR}
    return conn.execute(OPEN_SESSIONS, values).all() or conn.execute(LATEST_SESSION, {"agent_id": agent_id}).all()


def sessions_by_id(conn: Connection, ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The `(id, channel)` of these sessions."""
    statement = text("SELECT id, channel FROM sessions WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id")
    return conn.execute(statement, {"ids": array(ids)}).all()


def tell_sessions(conn: Connection, sessions: Sequence[Row[Any]], **values: object) -> None:
    """Put the same message into each session; `values` are its other columns.

    Its listeners are not fired here, where triggers may not be locked any more: their interval check finds it.
    """
    if sessions:
        rows = [{"id": new_id(), "session_id": each.id, "channel": each.channel, **values} for each in sessions]
        conn.execute(insert(Message), rows)


def add_notification(conn: Connection, **values: object) -> UUID:
    """Write down what was told; its id."""
    notification_id = new_id()
    conn.execute(insert(Notification).values(id=notification_id, **values))
    return notification_id


def read_notifications(conn: Connection, ids: Collection[UUID]) -> list[Told]:
    """Notifications by their ids, oldest first."""
    return [Told(*row) for row in conn.execute(READ, {"ids": array(ids)})]


def read_missed(conn: Connection, since: datetime) -> list[Told]:
    """The notifications of all tenants since then, oldest first; of very many, the newest."""
    rows = conn.execute(READ_SINCE, {"since": since, "limit": MOST_MISSED}).all()
    return [Told(*row) for row in reversed(rows)]
