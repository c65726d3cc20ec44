"""Skips the slots missed since the backup of a restored database, before its first start."""

from __future__ import annotations

from sqlalchemy import Connection, text

from scheduler.domain.errors import NotFound
from scheduler.manage.due_slots import skip_due, stored_schedule
from scheduler.manage.stored_triggers import HeldTrigger
from scheduler.manage.trigger_jobs import finish_trigger, put_jobs
from scheduler.manage.trigger_rows import lock_trigger
from scheduler.storage.engine import Database
from scheduler.triggers.registry import KINDS

LATE = text("""
    SELECT t.id, t.tenant_id FROM triggers t JOIN jobs j ON j.trigger_id = t.id AND j.kind = 'fire'
    WHERE t.deleted_at IS NULL AND t.is_enabled AND t.type = ANY(:slotted) AND j.next_run_time <= clock_timestamp()
    ORDER BY t.id
""")
WHY = "restored"


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


def _skip(conn: Connection, row: HeldTrigger, actor: str) -> bool:
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
