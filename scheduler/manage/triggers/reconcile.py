"""Repairs triggers and jobs that disagree, and skips the slots that a restored database has missed.

A trigger and its job change in one transaction, so there should be nothing to repair.
"""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.domain.errors import Conflict, NotFound
from scheduler.firings.quarantine import quarantine_trigger
from scheduler.manage.triggers.due_slots import lock_settled, skip_due, stored_schedule
from scheduler.manage.triggers.jobs import (
    effective_zone,
    finish_trigger,
    move_to_effective_zone,
    put_jobs,
    remove_jobs,
)
from scheduler.manage.triggers.rows import change_trigger, first_run_of, lock_trigger
from scheduler.manage.triggers.spec import TriggerWithLimits
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.audit import record_event
from scheduler.storage.drift import Drift, find_drift
from scheduler.storage.engine import Database
from scheduler.storage.faults import blames_rows
from scheduler.storage.triggers import stop_jobs
from scheduler.triggers.registry import KINDS, TIMED

LATE = text("""
    SELECT t.id, t.tenant_id FROM triggers t JOIN jobs j ON j.trigger_id = t.id AND j.kind = 'fire'
    WHERE t.deleted_at IS NULL AND t.is_enabled AND t.type = ANY(:slotted) AND j.next_run_time <= clock_timestamp()
    ORDER BY t.id
""")
WHY = "restored"


def reconcile_jobs(db: Database) -> Sequence[Drift]:
    """Finds and repairs drift, each in its own transaction, one process at a time. Returns what was repaired.

    Unreadable triggers are quarantined.
    """
    with db.begin() as conn:
        if not try_lock(conn, AdvisoryLock.RECONCILE_JOBS):
            return []
        found = find_drift(conn)
    for drift in found:
        logger.warning("Trigger {}: {}; repaired", drift.trigger_id, drift.why)
        try:
            with db.begin() as conn:
                _repair(conn, drift)
        except Exception as error:
            if not blames_rows(error):
                raise
            with db.begin() as conn:
                quarantine_trigger(conn, drift.trigger_id, error)
    return found


def _repair(conn: Connection, drift: Drift) -> None:
    try:
        row = lock_trigger(conn, drift.tenant_id, drift.trigger_id)
    except NotFound:
        remove_jobs(conn, [drift.trigger_id])
        agent_id = None
    else:
        _put_in_step(conn, row)
        agent_id = row.agent_id
    record_event(
        conn,
        action="trigger.repaired",
        tenant_id=drift.tenant_id,
        subject_id=drift.trigger_id,
        agent_id=agent_id,
        why=drift.why,
    )


def _put_in_step(conn: Connection, row: TriggerWithLimits) -> None:
    """Updates the jobs to match the trigger; ends a trigger that has nothing left to run."""
    if effective_zone(row) != row.zone:
        had_slot = row.next_run_time is not None
        row = lock_settled(conn, row.tenant_id, row.id, because="moved to another zone")
        move_to_effective_zone(conn, row, settled=had_slot)
        row = lock_trigger(conn, row.tenant_id, row.id)
    if not row.is_enabled:
        stop_jobs(conn, [row.id])
        return
    try:
        first = row.next_run_time or first_run_of(row)
    except Conflict as nothing_left:
        change_trigger(conn, row.id, is_enabled=False, paused_note=f"finished: {nothing_left.message}")
        stop_jobs(conn, [row.id])
        return
    put_jobs(conn, row.id, first, timed=row.type in TIMED, enabled=True, expires_at=row.expires_at)


def skip_late(db: Database, actor: str) -> int:
    """Skips the due slots of every trigger, regardless of misfire policy; returns the number of triggers.

    Each is audited as `trigger.skipped`. A trigger without a slot left ends. Kinds that check something keep
    checking.
    """
    slotted = [name for name, kind in KINDS.items() if kind.checked_by is None]
    with db.begin() as conn:
        late = conn.execute(LATE, {"slotted": slotted}).all()
    skipped = 0
    for trigger in late:
        with db.begin() as conn:
            try:
                row = lock_trigger(conn, trigger.tenant_id, trigger.id)
            except NotFound:
                continue
            skipped += _skip(conn, row, actor)
    return skipped


def _skip(conn: Connection, row: TriggerWithLimits, actor: str) -> bool:
    schedule = stored_schedule(row)
    if schedule is None or row.next_run_time is None or row.next_run_time > row.now:
        return False
    skip_due(conn, [row], why=WHY, actor=actor)
    following = schedule.next_after(row.now)
    if following is None:
        finish_trigger(conn, row, actor)
    else:
        put_jobs(conn, row.id, following, timed=True, enabled=True, expires_at=row.expires_at)
    return True
