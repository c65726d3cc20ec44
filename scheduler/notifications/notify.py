"""The end of a run tells people, in its own transaction: either both are written or neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from scheduler.domain.lineage import Lineage
from scheduler.domain.model import TriggerType, Trust
from scheduler.domain.notification import Cause, content_of, summary_of
from scheduler.domain.text import storable
from scheduler.notifications.deliver import send_on
from scheduler.storage.live import Change, tell
from scheduler.storage.notifications import add_notification, read_run, sessions_to_tell, tell_sessions

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
    tenant_id, agent_id = firings[0].tenant_id, firings[0].agent_id
    causes = {
        each.trigger_id: Cause(each.trigger_name, each.reason, each.notification_summary) for each in firings
    }
    summary = summary_of(causes.values(), firings[0].language)
    sessions = sessions_to_tell(conn, tenant_id, agent_id)
    deepest = max(firings, key=lambda each: each.depth)
    lineage = Lineage(deepest.root_id, deepest.depth).caused()
    tell_sessions(
        conn,
        sessions,
        tenant_id=tenant_id,
        from_type="agent",
        from_id=agent_id,
        text=storable(content_of(summary, reply))[0],
        root_id=lineage.root_id,
        depth=lineage.depth,
    )
    notification_id = add_notification(
        conn,
        tenant_id=tenant_id,
        agent_id=agent_id,
        invocation_id=invocation_id,
        summary=summary,
        triggers=list(dict.fromkeys(cause.name for cause in causes.values())),
        session_ids=[session.id for session in sessions],
    )
    send_on(conn, agent_id, notification_id)
    tell(conn, [Change(tenant_id, KIND, notification_id)])


def is_among_agents(firings: Sequence[Row[Any]]) -> bool:
    """Whether agents alone woke the agent, and not with the answer that it waited for on behalf of its user."""
    return all(firing.trust == Trust.AGENT and firing.trigger_type != TriggerType.A2A_WAIT for firing in firings)
