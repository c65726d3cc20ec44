"""Fires a trigger manually."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict
from scheduler.firings.new_firing import gate, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.intake.wakes.intake import asked_firing
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.due_slots import skip_due
from scheduler.manage.triggers.spec import ManualFire
from scheduler.storage.idempotency import KeyedRequest, answered_before, keep_answer
from scheduler.storage.triggers import stop_jobs


def fire_trigger(
    conn: Connection,
    tenant_id: UUID,
    trigger_id: UUID,
    *,
    actor: str,
    by_agent: bool,
    request: KeyedRequest | None,
    seen: dict[str, Any] | None = None,
) -> ManualFire:
    """Fires now, counted and without cooldown; returns the earlier result for a repeated `request`.

    Raises Conflict for a trigger that may not fire, and LimitReached when a chain of agents is too deep.
    """
    before = answered_before(conn, request)
    if before is not None:
        return ManualFire(UUID(before["firing_id"]), UUID(before["invocation_id"]), duplicate=True)
    row = rows.lock_trigger(conn, tenant_id, trigger_id)
    trigger = lock_triggers(conn, [trigger_id])[trigger_id]
    refusal = gate(trigger, trigger.read_at)
    if refusal:
        raise Conflict(f"The trigger does not fire: {row.paused_note or refusal}. Resume it first.")
    firing = asked_firing(conn, trigger, by_agent=by_agent, seen=seen)
    recorded = record_firings(conn, [firing])
    if recorded.exhausted:
        skip_due(conn, [row], why="max_fires", actor=actor)
        stop_jobs(conn, [trigger_id])
    rows.audit(conn, "fired", tenant_id, row.agent_id, trigger_id, actor, firing_id=str(firing.id))
    fired = ManualFire(firing.id, recorded.inserted[firing.id])
    keep_answer(conn, request, {"firing_id": str(fired.firing_id), "invocation_id": str(fired.invocation_id)})
    return fired
