"""Sends firings to their agent later or again: deferred ones, replayed ones, and those that lost their invocation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select, text, update

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_id
from scheduler.domain.model import FINAL_STATES
from scheduler.firings.new_firing import next_own_wake
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import Event, record_event, record_events
from scheduler.storage.engine import notify
from scheduler.storage.pipelines import send_along
from scheduler.storage.rows import rows_as
from scheduler.storage.tables.core import Agent, Invocation

# A held window stays held: the reason applies to replayed firings as well.
JOIN_WINDOW = text("""
    INSERT INTO invocations (id, tenant_id, agent_id, state, due_at, firing_count)
    VALUES (:id, :tenant_id, :agent_id, 'collecting', greatest(clock_timestamp(), CAST(:due_at AS timestamptz)), :count)
    ON CONFLICT (agent_id) WHERE state = 'collecting' DO UPDATE
    SET firing_count = invocations.firing_count + excluded.firing_count,
        due_at = CASE WHEN invocations.due_at IS NOT NULL THEN least(invocations.due_at, excluded.due_at) END
    RETURNING id
""")

KEPT = text("SELECT id FROM firings WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id")
LOCKED = text(f"{KEPT.text} FOR NO KEY UPDATE")
"""Keeps retention from removing the firings before they are pending again."""

FIND_PENDING = text("""
    SELECT invocation_id FROM firings WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'pending' LIMIT 1
""")

ATTACH = text("""
    UPDATE firings SET invocation_id = :invocation_id, state = 'pending', ack = NULL, acked_at = NULL,
        deferred_until = NULL, deferrals = 0
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")
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


def replay(conn: Connection, tenant_id: UUID, invocation_id: UUID, actor: str) -> UUID:
    """Sends an ended invocation's firings to its agent again: they join its window, which becomes due now.

    Returns the id of that collecting invocation, stored as `replayed_into`. A firing can be in progress only once:
    a second replay is a Conflict while the first one's firings wait or run, and allowed after they have ended.
    Raises NotFound, and Conflict also for an invocation that has not ended or whose agent is gone.
    """
    ended = conn.execute(
        select(Invocation.agent_id, Invocation.state, Invocation.firing_ids, Agent.deleted_at)
        .join(Agent, Agent.id == Invocation.agent_id)
        .where(Invocation.id == invocation_id, Invocation.tenant_id == tenant_id)
        .with_for_update(of=Invocation)
    ).one_or_none()
    if ended is None:
        raise NotFound(f"There is no invocation {invocation_id}.")
    if ended.state not in FINAL_STATES:
        raise Conflict(f"The invocation is {ended.state}: only one that has ended can be replayed.")
    if ended.deleted_at is not None:
        raise Conflict("The agent of the invocation was deleted.")
    if not ended.firing_ids:
        raise Conflict("The invocation carries no firings to replay.")
    kept = conn.scalars(KEPT, {"ids": ended.firing_ids}).all()
    if not kept:
        raise Conflict("The firings of the invocation have exceeded their retention time and were removed.")
    window_id = join_window(conn, tenant_id, ended.agent_id, len(kept))
    # After the window's lock, which serializes replays for this agent: closing a window locks it before its
    # firings, and so does this.
    if conn.scalars(LOCKED, {"ids": kept}).all() != kept:
        raise Conflict(
            "Some firings of the invocation were just removed, as their retention time has passed; try again."
        )
    waiting = conn.execute(FIND_PENDING, {"ids": kept}).scalar()
    if waiting is not None:
        raise Conflict(f"Firings of the invocation are already being delivered, in invocation {waiting}.")
    attach(conn, window_id, kept)
    conn.execute(update(Invocation).where(Invocation.id == invocation_id).values(replayed_into=window_id))
    record_event(
        conn,
        action="invocation.replayed",
        tenant_id=tenant_id,
        subject_id=invocation_id,
        agent_id=ended.agent_id,
        actor=actor,
        replayed_into=str(window_id),
    )
    return window_id


def join_window(
    conn: Connection, tenant_id: UUID, agent_id: UUID, count: int, due_at: datetime | None = None
) -> UUID:
    """Opens the agent's window or joins it with `count` firings, due now, or later at `due_at`, unless it is held."""
    values = {"id": new_id(), "tenant_id": tenant_id, "agent_id": agent_id, "count": count, "due_at": due_at}
    window_id: UUID = conn.execute(JOIN_WINDOW, values).scalar_one()
    notify(conn)
    return window_id


def attach(conn: Connection, window_id: UUID, firing_ids: Sequence[UUID]) -> None:
    """Puts firings that `join_window` has counted into a window."""
    conn.execute(ATTACH, {"invocation_id": window_id, "ids": list(firing_ids)})


class _DueFiring(NamedTuple):
    """A deferred firing whose time has come."""

    id: UUID
    agent_id: UUID
    tenant_id: UUID


def return_deferred(conn: Connection, limit: int) -> int:
    """Puts up to `limit` due firings into their agents' windows, due now unless held; returns how many.

    Windows are locked first, in the order of their agents, as everywhere that writes both.
    """
    due = rows_as(_DueFiring, send_along(conn, FIND_DUE, limit=limit))
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
