"""Stores notifications: which sessions are open, what a run reports, and what was sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.message_tables import Message
from scheduler.storage.notification_tables import Notification
from scheduler.storage.rows import insert_rows, rows_as

OPEN_FOR = timedelta(seconds=45)
"""How long a socket counts as open after its process last refreshed it: three heartbeats."""
MOST_MISSED = 200

READ_RUNS = text("""
    SELECT f.invocation_id, f.tenant_id, f.agent_id, f.trigger_id, f.trigger_name, f.trigger_type, f.reason, f.trust,
        f.root_id, f.depth, t.notification_summary, coalesce(t.is_system, false) AS is_system, a.language,
        f.data #>> '{messages,0,from,type}' AS sender_kind, f.data #>> '{messages,0,from,name}' AS sender_name,
        left(f.data #>> '{messages,0,text}', 200) AS text, f.data #>> '{messages,0,session_id}' AS session_id
    FROM firings f JOIN agents a ON a.id = f.agent_id LEFT JOIN triggers t ON t.id = f.trigger_id
    WHERE f.invocation_id = ANY(CAST(:ids AS uuid[])) ORDER BY f.id
""")

# A socket that names only a user stands for that user's newest session with the agent. When no session is open:
# the session where a person last wrote to the agent, else the newest session with a person.
SESSIONS_TO_TELL = text("""
    WITH agents_told AS (
        SELECT DISTINCT * FROM unnest(CAST(:agent_ids AS uuid[]), CAST(:tenant_ids AS uuid[])) AS v(agent_id, tenant_id)
    ), open AS (
        SELECT v.agent_id, s.id, s.channel FROM agents_told v CROSS JOIN LATERAL (
            SELECT w.session_id FROM live_sockets w
            WHERE w.tenant_id = v.tenant_id AND w.session_id IS NOT NULL AND w.seen_at > clock_timestamp() - :open_for
            UNION
            SELECT newest.id FROM live_sockets w CROSS JOIN LATERAL (
                SELECT u.id FROM sessions u
                WHERE u.agent_id = v.agent_id AND u.user_id = w.user_id AND NOT u.is_reflection
                ORDER BY u.id DESC LIMIT 1
            ) newest
            WHERE w.tenant_id = v.tenant_id AND w.user_id IS NOT NULL AND w.session_id IS NULL
                AND coalesce(w.agent_id, v.agent_id) = v.agent_id AND w.seen_at > clock_timestamp() - :open_for
        ) w JOIN sessions s ON s.id = w.session_id
        WHERE s.agent_id = v.agent_id AND s.user_id IS NOT NULL AND NOT s.is_reflection
    )
    SELECT * FROM open
    UNION ALL
    SELECT v.agent_id, s.id, s.channel FROM agents_told v JOIN sessions s ON s.id = coalesce(
        (
            SELECT m.session_id FROM messages m WHERE m.to_agent_id = v.agent_id AND m.from_type = 'user'
            ORDER BY m.created_at DESC LIMIT 1
        ),
        (
            SELECT u.id FROM sessions u
            WHERE u.agent_id = v.agent_id AND u.user_id IS NOT NULL AND NOT u.is_reflection
            ORDER BY u.id DESC LIMIT 1
        )
    )
    WHERE v.agent_id NOT IN (SELECT agent_id FROM open)
    ORDER BY agent_id, id
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


class CarriedFiring(NamedTuple):
    """A firing of an ended run, with its recipients and texts."""

    invocation_id: UUID
    tenant_id: UUID
    agent_id: UUID
    trigger_id: UUID
    trigger_name: str
    trigger_type: str
    reason: str
    trust: str
    root_id: UUID
    depth: int
    notification_summary: str | None
    is_system: bool
    language: str
    sender_kind: str | None
    sender_name: str | None
    text: str | None
    session_id: str | None


class SessionToTell(NamedTuple):
    """A session that a notification goes to."""

    id: UUID
    channel: str


class AgentsSession(NamedTuple):
    """A session of an agent that its notifications go to."""

    agent_id: UUID
    id: UUID
    channel: str


def read_runs(conn: Connection, invocation_ids: Collection[UUID]) -> Sequence[CarriedFiring]:
    """Reads the firings of invocations with their triggers' notification settings and their agents' languages,
    oldest first.
    """
    return rows_as(CarriedFiring, conn.execute(READ_RUNS, {"ids": uuid_array(invocation_ids)}))


def sessions_to_tell(conn: Connection, agents: Sequence[tuple[UUID, UUID]]) -> Sequence[AgentsSession]:
    """Returns `(agent_id, id, channel)` of the sessions to notify for each `(agent_id, tenant_id)`: all open ones.

    For an agent without an open session, returns its latest session with a person, if any.
    """
    values = {
        "agent_ids": uuid_array(agent_id for agent_id, _ in agents),
        "tenant_ids": uuid_array(tenant_id for _, tenant_id in agents),
        "open_for": OPEN_FOR,
    }
    return rows_as(AgentsSession, conn.execute(SESSIONS_TO_TELL, values))


def sessions_by_id(conn: Connection, ids: Collection[UUID]) -> dict[UUID, SessionToTell]:
    """Returns `(channel)` and id of these sessions, by id."""
    statement = text("SELECT id, channel FROM sessions WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id")
    return {row.id: row for row in rows_as(SessionToTell, conn.execute(statement, {"ids": array(ids)}))}


def add_messages(conn: Connection, messages: Sequence[Mapping[str, Any]]) -> None:
    """Adds messages to sessions.

    Their on_message triggers are not fired here, where triggers can no longer be locked: their interval check does
    it.
    """
    insert_rows(conn, Message.__tablename__, messages)


def add_notifications(conn: Connection, notifications: Sequence[Mapping[str, Any]]) -> None:
    """Inserts notifications."""
    insert_rows(conn, Notification.__tablename__, notifications)


def read_notifications(conn: Connection, ids: Collection[UUID]) -> list[PushedNotification]:
    """Reads notifications by id, oldest first."""
    return rows_as(PushedNotification, conn.execute(READ, {"ids": array(ids)}))


def read_missed(conn: Connection, since: datetime) -> list[PushedNotification]:
    """Reads the notifications of all tenants since a time, oldest first; if there are too many, the newest of
    them.
    """
    return rows_as(PushedNotification, conn.execute(READ_SINCE, {"since": since, "limit": MOST_MISSED}))[::-1]
