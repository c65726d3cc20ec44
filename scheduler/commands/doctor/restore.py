"""`reveille doctor --after-restore`: lists what will fire and run again when a restored database is started."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from scheduler.commands.doctor.findings import Finding, fail, ok, warn
from scheduler.domain.text import counted

LATE = """
    SELECT t.misfire_policy, count(*)
    FROM triggers t JOIN jobs j ON j.trigger_id = t.id
    WHERE t.deleted_at IS NULL AND t.is_enabled AND j.next_run_time <= clock_timestamp()
    GROUP BY 1 ORDER BY 1
"""
UNDER_WAY = "SELECT count(*) FROM invocations WHERE state IN ('ready', 'running', 'retrying')"
AWAITING = "SELECT count(*) FROM invocations WHERE state = 'awaiting'"
RESTORED = (
    "SELECT at, detail->>'restored_from' FROM audit_events WHERE action = 'database.restored' ORDER BY at DESC"
)
WORKERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'reveille-%' AND pid <> pg_backend_pid()
"""


def check_restored(url: str) -> Iterator[Finding]:
    """Lists what a person should know before the first start; changes nothing."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        restored = connection.execute(RESTORED).fetchone()
        if restored is None:
            yield warn("restored from", "not by `reveille restore`", "nothing, if that is so")
        else:
            yield ok("restored from", f"what was backed up at {restored[1]}, on {restored[0].isoformat()}")
        late = connection.execute(LATE).fetchall()
        yield _late(late)
        yield _count(connection, "under way", UNDER_WAY, "run again, with the same invocation_id")
        yield _count(connection, "awaiting", AWAITING, "keep waiting for their agents' reports")
        running = _number(connection, WORKERS)
    if running:
        yield warn("started", f"{running} connections of Reveille are open", "look before it is started")
    else:
        yield ok("started", "nothing runs on it yet")


def skip_missed_slots(url: str) -> Finding:
    """Skips every slot missed since the backup, unless something runs on the database already."""
    from scheduler.manage.triggers.reconcile import skip_late
    from scheduler.storage.engine import Database

    with psycopg.connect(url, connect_timeout=10) as connection:
        if _number(connection, WORKERS):
            return fail("skipped", "nothing: Reveille runs on it, and what is late has fired", "stop it first")
    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    db = Database(address, pool_size=1, application_name="doctor")
    try:
        return ok(
            "skipped",
            f"what was late of {counted(skip_late(db, 'operator'), 'trigger')}; the audit trail says which",
        )
    finally:
        db.dispose()


def _late(found: list[tuple[str, int]]) -> Finding:
    if not found:
        return ok("late", "no trigger has a slot that passed since")
    counts = ", ".join(f"{count} with {policy}" for policy, count in found)
    return warn(
        "late",
        f"slots passed since of these triggers, by misfire policy: {counts}",
        "they fire as late at the first start, those too that fired elsewhere after the backup; where "
        "they must not, "
        "`reveille doctor --after-restore --late skip` leaves them all out (docs/misfire.md)",
    )


def _count(connection: psycopg.Connection, name: str, query: str, what: str) -> Finding:
    return ok(name, f"{counted(_number(connection, query), 'invocation')} {what}")


def _number(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0
