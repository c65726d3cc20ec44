"""Ends the triggers of an agent that share a focus."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.errors import NotFound
from scheduler.manage.agents.rights import agent_actor, check_may_change, is_own, may_change
from scheduler.manage.triggers.due_slots import fire_unseen, settle
from scheduler.manage.triggers.jobs import lock_triggers_of
from scheduler.storage.audit import Event, record_events
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.storage.read_models.triggers import TriggerView, list_views
from scheduler.storage.triggers import stop_jobs

RESOLVED = "resolved"
MAX_LISTED = 1000

_OF_FOCUS = "t.agent_id = :agent_id AND t.focus_ref = :focus_ref AND t.is_enabled"

END = text("""
    UPDATE triggers SET is_enabled = false, paused_note = 'resolved', paused_by = :by,
        updated_at = clock_timestamp()
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")


def resolve_focus(
    conn: Connection, tenant_id: UUID, agent_id: UUID, focus_ref: str, *, actor: str, by_agent: bool = False
) -> list[TriggerView]:
    """Ends all triggers of a focus in the caller's transaction; returns them, newest first.

    Recorded firings are still delivered. Repeating it changes nothing. An agent (`by_agent`) ends those it may
    change and leaves the others. Raises NotFound when the agent has no trigger with this `focus_ref`, and
    Forbidden when only people's triggers are left.
    """
    where = {"agent_id": agent_id, "focus_ref": focus_ref}
    ended = lock_triggers_of(conn, _OF_FOCUS, where)
    theirs = [row for row in ended if by_agent and not may_change(row)]
    ended = [row for row in ended if row not in theirs]
    settle(conn, ended, because=RESOLVED, actor=actor)
    fire_unseen(conn, ended)
    ids = [row.id for row in ended]
    conn.execute(END, {"ids": ids, "by": agent_actor(agent_id) if by_agent else actor})
    stop_jobs(conn, ids)
    record_events(
        conn,
        [
            Event(
                "trigger.resolved", tenant_id, row.id, agent_id, actor, {"focus_ref": focus_ref, "name": row.name}
            )
            for row in ended
        ],
    )
    shown = list_views(conn, tenant_id, TriggerFilter(agent_id, focus_ref=focus_ref), limit=MAX_LISTED)
    if not shown:
        raise NotFound(f"The agent has no trigger with focus_ref {focus_ref!r}.")
    if theirs and not any(is_own(each) for each in shown):
        check_may_change(theirs[0])
    return shown
