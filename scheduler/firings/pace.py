"""Limits the pace of an agent's own triggers: together they wake it at most once per interval.

Nothing is lost: a delayed firing is recorded at once and rides along in any window that closes sooner.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.lineage import OWN_PACE, own_pace_note
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.storage.arrays import array, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.rows import rows_as

NOTED_AGAIN = timedelta(minutes=10)
"""The minimum time between audit events about delayed triggers of one agent."""

# Written after the windows and in the order of the agents, as everywhere.
KEEP_PACES = text("""
    INSERT INTO agent_paces AS p (agent_id, woken_at, noted_at)
    SELECT v.agent_id, v.woken_at, CASE WHEN v.waits THEN CAST(:now AS timestamptz) END
    FROM unnest(CAST(:agents AS uuid[]), CAST(:wakes AS timestamptz[]), CAST(:waits AS bool[]))
        AS v(agent_id, woken_at, waits)
    ORDER BY v.agent_id
    ON CONFLICT (agent_id) DO UPDATE SET woken_at = excluded.woken_at,
        noted_at = CASE WHEN excluded.noted_at - CAST(:again AS interval) < p.noted_at THEN p.noted_at
            ELSE coalesce(excluded.noted_at, p.noted_at) END
    RETURNING agent_id, noted_at = CAST(:now AS timestamptz) AS is_noted
""")

NAMES = text("""
    SELECT t.id, t.tenant_id, t.agent_id, t.name, t.root_id IS NOT NULL AS is_loop, a.name AS agent_name
    FROM triggers t JOIN agents a ON a.id = t.agent_id WHERE t.id = ANY(CAST(:ids AS uuid[]))
""")

NEXT_WAKE = text("""
    SELECT least(woken_at, clock_timestamp()) + CAST(:pace AS interval) FROM agent_paces WHERE agent_id = :agent_id
""")


def paced(trigger: LockedTrigger, now: datetime) -> datetime:
    """Returns when a trigger may wake its agent: now, or later if another of the agent's own triggers just did.

    A wake that is still ahead counts as now, as the window may have closed for another firing meanwhile.
    """
    if not trigger.is_paced or trigger.paced_at is None:
        return now
    return max(now, min(trigger.paced_at, now) + OWN_PACE)


def next_own_wake(conn: Connection, agent_id: UUID) -> datetime | None:
    """Returns when an agent may next be woken by its own triggers; None if it never was."""
    found: datetime | None = conn.scalar(NEXT_WAKE, {"agent_id": agent_id, "pace": OWN_PACE})
    return found


def keep_paces(conn: Connection, now: datetime, wakes: Mapping[LockedTrigger, datetime]) -> None:
    """Stores when agents are woken by their own triggers, one row per agent, and audits those that wait."""
    if not wakes:
        return
    kept = conn.execute(
        KEEP_PACES,
        {
            "now": now,
            "again": NOTED_AGAIN,
            "agents": uuid_array([trigger.agent_id for trigger in wakes]),
            "wakes": array(wakes.values()),
            "waits": [wakes[trigger] == paced(trigger, now) > now for trigger in wakes],
        },
    )
    noted = {row.agent_id for row in kept if row.is_noted}
    told = {trigger.id: at for trigger, at in wakes.items() if trigger.agent_id in noted}
    if told:
        rows = rows_as(_Paced, conn.execute(NAMES, {"ids": uuid_array(told)}))
        record_events(conn, [_event(row, told[row.id]) for row in rows])


class _Paced(NamedTuple):
    """A trigger whose firing waits for its agent's pace."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    agent_name: str
    name: str
    is_loop: bool


def _event(row: _Paced, until: datetime) -> Event:
    note = own_pace_note(row.agent_name, row.name, until, is_loop=row.is_loop)
    detail = {"note": note, "trigger": row.name, "until": until.isoformat()}
    return Event("agent.paced", row.tenant_id, row.agent_id, row.agent_id, detail=detail)
