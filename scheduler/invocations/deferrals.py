"""Returns deferred firings: the pass over the windows puts them into a window when their time comes."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.firings.pace import next_own_wake
from scheduler.invocations.replay import join_window
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import Event, record_events

# One scheduler at a time, at no cost while nothing is deferred, since the lock comes last.
FIND_DUE = text("""
    SELECT f.id, f.agent_id, f.tenant_id FROM firings f
    WHERE f.ack = 'deferred' AND f.state = 'delivered' AND f.deferred_until <= (SELECT clock_timestamp())
    ORDER BY f.deferred_until LIMIT :limit
""")

BRING_BACK = text("""
    UPDATE firings SET invocation_id = :window_id, state = 'pending', ack = NULL
    WHERE id = ANY(CAST(:ids AS uuid[])) AND ack = 'deferred' AND state = 'delivered'
    RETURNING id
""")
COUNT = text("UPDATE invocations SET firing_count = firing_count + :count WHERE id = :id")
DROP_EMPTY = text("DELETE FROM invocations WHERE id = :id AND state = 'collecting' AND firing_count = 0")


# A deferral is the agent's own alarm, so it keeps the pace of the agent's own triggers.
KEEP_PACE = text("""
    INSERT INTO agent_paces (agent_id, woken_at)
    SELECT agent_id, coalesce(due_at, clock_timestamp()) FROM invocations WHERE id = :id
    ON CONFLICT (agent_id) DO UPDATE SET woken_at = excluded.woken_at
""")


def return_deferred(conn: Connection, limit: int) -> int:
    """Puts up to `limit` due firings into their agents' windows, due now unless held; returns how many.

    Windows are locked first, in the order of their agents, as everywhere that writes both.
    """
    due = conn.execute(FIND_DUE, {"limit": limit}).all()
    if not due or not try_lock(conn, AdvisoryLock.RETURN_DEFERRED):
        return 0
    by_agent: dict[tuple[UUID, UUID], list[UUID]] = defaultdict(list)
    for row in due:
        by_agent[row.agent_id, row.tenant_id].append(row.id)
    return sum(
        _bring_back(conn, tenant_id, agent_id, by_agent[agent_id, tenant_id])
        for agent_id, tenant_id in sorted(by_agent)
    )


def _bring_back(conn: Connection, tenant_id: UUID, agent_id: UUID, firing_ids: list[UUID]) -> int:
    """Checks again under the window's lock: some may have been acknowledged or replayed meanwhile."""
    window_id = join_window(conn, tenant_id, agent_id, 0, next_own_wake(conn, agent_id))
    back = conn.execute(BRING_BACK, {"window_id": window_id, "ids": firing_ids}).scalars().all()
    conn.execute(COUNT, {"id": window_id, "count": len(back)})
    conn.execute(DROP_EMPTY, {"id": window_id})
    if back:
        conn.execute(KEEP_PACE, {"id": window_id})
    record_events(conn, [Event("firing.returned", tenant_id, each, agent_id) for each in back])
    return len(back)
