"""Approves or rejects triggers that agents created. Such a trigger is disabled until it is approved."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from scheduler.domain.errors import Conflict
from scheduler.manage.agents.trigger_limits import APPROVED, AWAITING, REJECTED
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.jobs import start_trigger
from scheduler.manage.triggers.spec import TriggerWithLimits
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView, get_view


def approve(
    db: Database, tenant_id: UUID, trigger_id: UUID, *, actor: str, seen: datetime | None = None
) -> TriggerView:
    """Approves and enables a trigger that awaits approval or was rejected.

    `seen`: its updated_at when the person viewed it, so that nothing is approved unseen. Raises NotFound, or
    Conflict when it was changed since, needs no approval, has expired, has no slot left, or exceeds the limit.
    """
    with rows.auditing_limits(db, tenant_id, actor, subject_id=trigger_id), db.begin() as conn:
        row = rows.lock_trigger_and_agent(conn, tenant_id, trigger_id)
        _check_asked(row)
        if seen not in (None, row.updated_at):
            raise Conflict("The agent has changed the trigger since; review it again.", field="updated_at")
        rows.change_trigger(conn, trigger_id, approval=APPROVED)
        start_trigger(conn, row)
        rows.audit(conn, "approved", tenant_id, row.agent_id, trigger_id, actor)
        return get_view(conn, tenant_id, trigger_id)


def reject(db: Database, tenant_id: UUID, trigger_id: UUID, *, actor: str, note: str | None = None) -> TriggerView:
    """Rejects a trigger that awaits approval. It stays disabled, and its paused_note tells the agent why.

    Raises NotFound, or Conflict when it needs no approval.
    """
    with db.begin() as conn:
        row = rows.lock_trigger(conn, tenant_id, trigger_id)
        _check_asked(row)
        rows.change_trigger(
            conn, trigger_id, approval=REJECTED, paused_note=f"rejected: {note}" if note else "rejected"
        )
        rows.audit(conn, "rejected", tenant_id, row.agent_id, trigger_id, actor, note=note)
        return get_view(conn, tenant_id, trigger_id)


def _check_asked(row: TriggerWithLimits) -> None:
    if row.approval not in (AWAITING, REJECTED):
        raise Conflict("The trigger does not await approval; pause or resume it instead.", field="approval")
