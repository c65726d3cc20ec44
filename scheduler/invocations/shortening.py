"""Shortens open windows when a delay, a cooldown or the size of a batch is lowered."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.storage.engine import notify

# Triggers come before invocations, ordered by id, as everywhere.
LOCK_TRIGGERS = text("""
    SELECT id FROM triggers WHERE id IN (
        SELECT f.trigger_id FROM invocations w JOIN firings f ON f.invocation_id = w.id
        WHERE w.agent_id = :agent_id AND w.state = 'collecting'
    ) ORDER BY id FOR UPDATE
""")

# A full window is due, as in record_firings; another as in new_firing.wake_at: after the window's delay and the
# trigger's cooldown from the previous run. Firings with their own pace, or deferred ones, do not shorten a window.
SHORTEN = text("""
    UPDATE invocations w SET due_at = v.due_at
    FROM (
        SELECT o.id, CASE WHEN max(o.firing_count) >= max(a.max_batch) THEN clock_timestamp() ELSE min(greatest(
            f.fired_at + make_interval(secs => a.dedup_delay_seconds),
            before.ready_at + make_interval(secs => t.cooldown_seconds)
        )) END AS due_at
        FROM invocations o JOIN agents a ON a.id = o.agent_id
        JOIN firings f ON f.invocation_id = o.id JOIN triggers t ON t.id = f.trigger_id
        LEFT JOIN LATERAL (
            SELECT i.ready_at FROM firings p JOIN invocations i ON i.id = p.invocation_id
            WHERE p.trigger_id = t.id AND p.id < f.id AND p.invocation_id <> o.id AND i.ready_at IS NOT NULL
            ORDER BY p.id DESC LIMIT 1
        ) before ON true
        WHERE o.agent_id = :agent_id AND o.state = 'collecting' AND NOT t.is_paced AND f.deferred_until IS NULL
        GROUP BY o.id
    ) v
    WHERE w.id = v.id AND w.state = 'collecting' AND w.due_at > v.due_at
    RETURNING w.id, w.due_at
""")

# Otherwise the next cooldown would start at a wake that does not happen.
FOLLOW = text("""
    UPDATE triggers SET last_wake_at = :due_at WHERE last_wake_at > :due_at
    AND id IN (SELECT trigger_id FROM firings WHERE invocation_id = :id)
    AND (CAST(:trigger_id AS uuid) IS NULL OR id = CAST(:trigger_id AS uuid))
""")


def shorten_window(conn: Connection, agent_id: UUID, trigger_id: UUID | None = None) -> bool:
    """Moves an agent's open window to when it would be due with the current settings, if sooner; returns whether
    it did.

    Call it after the statement that lowered a setting. `trigger_id`: the changed trigger, locked by the caller;
    None: the agent changed. A held window stays held.
    """
    if trigger_id is None:
        conn.execute(LOCK_TRIGGERS, {"agent_id": agent_id})
    row = conn.execute(SHORTEN, {"agent_id": agent_id}).one_or_none()
    if row is None:
        return False
    conn.execute(FOLLOW, {"id": row.id, "due_at": row.due_at, "trigger_id": trigger_id})
    notify(conn)
    return True
