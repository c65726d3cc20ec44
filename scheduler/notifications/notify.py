"""Notifies people when a run ends, in the run's own transaction, so that both or neither are written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.ids import new_id
from scheduler.domain.lineage import Lineage
from scheduler.domain.model import TriggerKind, Trust
from scheduler.domain.notification import Cause, content_of, failure_of, summary_of
from scheduler.domain.text import storable
from scheduler.notifications.deliveries import send_on
from scheduler.storage.live import Change, notify_watchers
from scheduler.storage.notifications import (
    AgentsSession,
    CarriedFiring,
    SessionToTell,
    add_messages,
    add_notifications,
    read_runs,
    sessions_by_id,
    sessions_to_tell,
)

KIND = "notification"
"""The kind of change that web processes push to watchers."""


def notify_people(conn: Connection, replies: Mapping[UUID, str]) -> None:
    """Sends people replies, by invocation: each to its agent's open sessions, else to its latest one.

    Empty replies and conversations between agents are not sent. Without any session the reply stays on the
    invocation, and is still pushed and sent to targets.
    """
    runs = _firings_of(conn, [each for each, reply in replies.items() if reply.strip()])
    told = {each: firings for each, firings in runs.items() if not is_among_agents(firings)}
    if not told:
        return
    sessions: dict[UUID, list[AgentsSession]] = defaultdict(list)
    for session in sessions_to_tell(conn, [(run[0].agent_id, run[0].tenant_id) for run in told.values()]):
        sessions[session.agent_id].append(session)
    _tell(
        conn,
        [_Notice(each, firings, sessions[firings[0].agent_id], replies[each]) for each, firings in told.items()],
    )


def notify_of_failures(conn: Connection, reasons: Mapping[UUID, str | None]) -> None:
    """Tells the people who wrote to agents that they get no answer, each in the session where they asked.

    `reasons` by invocation. Other failures concern whoever operates the agent, not these people.
    """
    asked = {
        each: [firing for firing in firings if firing.sender_kind == "user" and firing.session_id]
        for each, firings in _firings_of(conn, reasons).items()
    }
    asked = {each: firings for each, firings in asked.items() if firings}
    if not asked:
        return
    named = {UUID(firing.session_id) for firings in asked.values() for firing in firings}
    sessions = sessions_by_id(conn, named)
    notices = []
    for each, firings in asked.items():
        theirs = sorted({UUID(firing.session_id) for firing in firings} & sessions.keys())
        sentence = failure_of(reasons[each] or "failed", firings[0].language)
        notices.append(_Notice(each, firings, [sessions[one] for one in theirs], sentence, failure=sentence))
    _tell(conn, notices)


def _firings_of(conn: Connection, invocation_ids: Collection[UUID]) -> dict[UUID, list[CarriedFiring]]:
    runs: dict[UUID, list[CarriedFiring]] = defaultdict(list)
    for firing in read_runs(conn, invocation_ids) if invocation_ids else ():
        runs[firing.invocation_id].append(firing)
    return runs


def _tell(conn: Connection, notices: Sequence[_Notice]) -> None:
    """Adds messages to the sessions, pushes them to watchers, and sends them to targets."""
    add_messages(conn, [message for notice in notices for message in notice.messages()])
    add_notifications(conn, [notice.row() for notice in notices])
    send_on(conn, {notice.id: notice.agent_id for notice in notices})
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
