"""Notifies people when a run ends, in the run's own transaction, so that both or neither are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.ids import new_id
from scheduler.domain.lineage import Lineage
from scheduler.domain.model import TriggerKind, Trust
from scheduler.domain.notification import Cause, content_of, failure_of, summary_of
from scheduler.domain.text import storable
from scheduler.notifications.deliveries import ask_targets, send_on
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.live import Change, notify_watchers
from scheduler.storage.pipelines import Answer, send_along
from scheduler.storage.rows import insert_rows, rows_as
from scheduler.storage.tables.messages import Message
from scheduler.storage.tables.notifications import Notification

OPEN_FOR = timedelta(seconds=45)
"""How long a socket counts as open after its process last refreshed it: three heartbeats."""

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

KIND = "notification"
"""The kind of change that web processes push to watchers."""


def notify_people(conn: Connection, replies: Mapping[UUID, str], asked: Answer) -> None:
    """Sends people replies, by invocation: each to its agent's open sessions, else to its latest one.

    `asked`: the answer to `ask_runs` for them. Empty replies and conversations between agents are not sent. Without any
    session the reply stays on the invocation, and is still pushed and sent to targets.
    """
    told = {
        each: firings
        for each, firings in _by_run(asked).items()
        if replies.get(each, "").strip() and not is_among_agents(firings)
    }
    if not told:
        return
    targets = ask_targets(conn, {run[0].agent_id for run in told.values()})
    sessions: dict[UUID, list[AgentsSession]] = defaultdict(list)
    for session in sessions_to_tell(conn, [(run[0].agent_id, run[0].tenant_id) for run in told.values()]):
        sessions[session.agent_id].append(session)
    _tell(
        conn,
        [_Notice(each, firings, sessions[firings[0].agent_id], replies[each]) for each, firings in told.items()],
        targets,
    )


def notify_of_failures(conn: Connection, reasons: Mapping[UUID, str | None]) -> None:
    """Tells the people who wrote to agents that they get no answer, each in the session where they asked.

    `reasons` by invocation. Other failures concern whoever operates the agent, not these people.
    """
    if not reasons:
        return
    asked = {
        each: [firing for firing in firings if firing.sender_kind == "user" and firing.session_id]
        for each, firings in _by_run(ask_runs(conn, reasons)).items()
    }
    asked = {each: firings for each, firings in asked.items() if firings}
    if not asked:
        return
    targets = ask_targets(conn, {firings[0].agent_id for firings in asked.values()})
    named = {UUID(firing.session_id) for firings in asked.values() for firing in firings}
    sessions = sessions_by_id(conn, named)
    notices = []
    for each, firings in asked.items():
        theirs = sorted({UUID(firing.session_id) for firing in firings} & sessions.keys())
        sentence = failure_of(reasons[each] or "failed", firings[0].language)
        notices.append(_Notice(each, firings, [sessions[one] for one in theirs], sentence, failure=sentence))
    _tell(conn, notices, targets)


def _by_run(asked: Answer) -> dict[UUID, list[CarriedFiring]]:
    runs: dict[UUID, list[CarriedFiring]] = defaultdict(list)
    for firing in rows_as(CarriedFiring, asked):
        runs[firing.invocation_id].append(firing)
    return runs


def _tell(conn: Connection, notices: Sequence[_Notice], targets: Answer) -> None:
    """Adds messages to the sessions, pushes them to watchers, and sends them to targets.

    The messages' on_message triggers are not fired here, where triggers can no longer be locked: their interval
    check does it.
    """
    insert_rows(conn, Message.__tablename__, [message for notice in notices for message in notice.messages()])
    insert_rows(conn, Notification.__tablename__, [notice.row() for notice in notices])
    send_on(conn, {notice.id: notice.agent_id for notice in notices}, targets)
    notify_watchers(conn, [Change(notice.tenant_id, KIND, notice.id) for notice in notices])


class _Notice:
    """The notification about one run."""

    def __init__(
        self,
        invocation_id: UUID,
        firings: Sequence[CarriedFiring],
        sessions: Sequence[AgentsSession | SessionToTell],
        said: str,
        *,
        failure: str | None = None,
    ) -> None:
        self.id = new_id()
        self.tenant_id: UUID = firings[0].tenant_id
        self.agent_id: UUID = firings[0].agent_id
        self._invocation_id = invocation_id
        self._firings = firings
        self._sessions = sessions
        self._said = said
        self._failure = failure
        self._summary = summary_of(map(_cause, firings), firings[0].language)
        deepest = max(firings, key=lambda each: each.depth)
        self._lineage = Lineage(deepest.root_id, deepest.depth).caused()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Returns the same message for each session."""
        said = storable(content_of(self._summary, self._said))[0]
        for session in self._sessions:
            yield {
                "id": new_id(),
                "session_id": session.id,
                "channel": session.channel,
                "tenant_id": self.tenant_id,
                "from_type": "agent",
                "from_id": self.agent_id,
                "text": said,
                "root_id": self._lineage.root_id,
                "depth": self._lineage.depth,
            }

    def row(self) -> dict[str, Any]:
        """Returns the notification's row."""
        return {
            "id": self.id,
            "tenant_id": self.tenant_id,
            "agent_id": self.agent_id,
            "invocation_id": self._invocation_id,
            "summary": self._summary,
            "triggers": list(dict.fromkeys(firing.trigger_name for firing in self._firings)),
            "session_ids": [session.id for session in self._sessions],
            "failure": self._failure,
        }


def is_among_agents(firings: Sequence[CarriedFiring]) -> bool:
    """Whether only agents woke the agent, and not with an answer that it awaited on behalf of its user."""
    return all(firing.trust == Trust.AGENT and firing.trigger_type != TriggerKind.A2A_WAIT for firing in firings)


def _cause(firing: CarriedFiring) -> Cause:
    return Cause(
        name=firing.trigger_name,
        reason=firing.reason,
        summary=firing.notification_summary,
        type=firing.trigger_type,
        is_system=firing.is_system,
        sender_kind=firing.sender_kind,
        sender_name=firing.sender_name,
        text=firing.text,
    )


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


def ask_runs(conn: Connection, invocation_ids: Collection[UUID]) -> Answer:
    """Asks for the firings of invocations with their triggers' notification settings and their agents' languages,
    oldest first, as CarriedFiring.
    """
    return send_along(conn, READ_RUNS, ids=uuid_array(invocation_ids))


def sessions_to_tell(conn: Connection, agents: Sequence[tuple[UUID, UUID]]) -> Sequence[AgentsSession]:
    """Returns `(agent_id, id, channel)` of the sessions to notify for each `(agent_id, tenant_id)`: all open ones.

    For an agent without an open session, returns its latest session with a person, if any.
    """
    told = send_along(
        conn,
        SESSIONS_TO_TELL,
        agent_ids=uuid_array(agent_id for agent_id, _ in agents),
        tenant_ids=uuid_array(tenant_id for _, tenant_id in agents),
        open_for=OPEN_FOR,
    )
    return rows_as(AgentsSession, told)


def sessions_by_id(conn: Connection, ids: Collection[UUID]) -> dict[UUID, SessionToTell]:
    """Returns `(channel)` and id of these sessions, by id."""
    statement = text("SELECT id, channel FROM sessions WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id")
    return {row.id: row for row in rows_as(SessionToTell, conn.execute(statement, {"ids": array(ids)}))}
