"""The end of a run tells people, in its own transaction: either both are written or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from scheduler.domain.lineage import Lineage
from scheduler.domain.model import TriggerType, Trust
from scheduler.domain.notification import Cause, content_of, failure_of, summary_of
from scheduler.domain.text import storable
from scheduler.notifications.deliver import send_on
from scheduler.storage.live import Change, tell
from scheduler.storage.notifications import (
    add_notification,
    read_run,
    sessions_by_id,
    sessions_to_tell,
    tell_sessions,
)

KIND = "notification"
"""The kind of the change that the web processes push to whoever watches."""


def notify_people(conn: Connection, invocation_id: UUID, reply: str) -> None:
    """Tell people of a reply: in the agent's open sessions, else in its latest one.

    Nobody is told of an empty reply, nor of what agents had to say to each other. Without any session the
    reply stays where it is, on the invocation, and is pushed and sent all the same.
    """
    firings = read_run(conn, invocation_id) if reply.strip() else ()
    if not firings or is_among_agents(firings):
        return
    sessions = sessions_to_tell(conn, firings[0].tenant_id, firings[0].agent_id)
    _tell(conn, invocation_id, firings, sessions, reply)


def tell_of_failure(conn: Connection, invocation_id: UUID, reason: str | None) -> None:
    """Tell the people who wrote to the agent that they get no answer, each in the session where they asked.

    A failure of anything else is for whoever looks after the agent, not for people.
    """
    firings = read_run(conn, invocation_id)
    asked = [each for each in firings if each.sender_type == "user" and each.session_id]
    if not asked:
        return
    sessions = sessions_by_id(conn, {UUID(each.session_id) for each in asked})
    sentence = failure_of(reason or "failed", firings[0].language)
    _tell(conn, invocation_id, asked, sessions, sentence, failure=sentence)


def _tell(
    conn: Connection,
    invocation_id: UUID,
    firings: Sequence[Row[Any]],
    sessions: Sequence[Row[Any]],
    said: str,
    *,
    failure: str | None = None,
) -> None:
    """Put what is said into the sessions, push it to whoever watches, and send it on."""
    tenant_id, agent_id = firings[0].tenant_id, firings[0].agent_id
    summary = summary_of(map(_cause, firings), firings[0].language)
    deepest = max(firings, key=lambda each: each.depth)
    lineage = Lineage(deepest.root_id, deepest.depth).caused()
    tell_sessions(
        conn,
        sessions,
        tenant_id=tenant_id,
        from_type="agent",
        from_id=agent_id,
        text=storable(content_of(summary, said))[0],
        root_id=lineage.root_id,
        depth=lineage.depth,
    )
    notification_id = add_notification(
        conn,
        tenant_id=tenant_id,
        agent_id=agent_id,
        invocation_id=invocation_id,
        summary=summary,
        triggers=list(dict.fromkeys(firing.trigger_name for firing in firings)),
        session_ids=[session.id for session in sessions],
        failure=failure,
    )
    send_on(conn, agent_id, notification_id)
    tell(conn, [Change(tenant_id, KIND, notification_id)])


def is_among_agents(firings: Sequence[Row[Any]]) -> bool:
    """Whether agents alone woke the agent, and not with the answer that it waited for on behalf of its user."""
    return all(firing.trust == Trust.AGENT and firing.trigger_type != TriggerType.A2A_WAIT for firing in firings)


def _cause(firing: Row[Any]) -> Cause:
    return Cause(
        name=firing.trigger_name,
        reason=firing.reason,
        summary=firing.notification_summary,
        type=firing.trigger_type,
        is_system=firing.is_system,
        sender_type=firing.sender_type,
        sender_name=firing.sender_name,
        text=firing.text,
    )
