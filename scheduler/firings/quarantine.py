"""Quarantines broken triggers: each one is stopped alone, with a note and an audit event."""

from __future__ import annotations

from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, text

from scheduler.storage.audit import record_event
from scheduler.storage.faults import first_line, quarantine_note
from scheduler.storage.triggers import stop_jobs

DISABLE = text("""
    UPDATE triggers SET is_enabled = false, paused_note = :note WHERE id = :id RETURNING tenant_id, agent_id
""")


def quarantine_trigger(conn: Connection, trigger_id: UUID, error: BaseException) -> None:
    """Stops a trigger that cannot be read, or whose firings cannot be written, and stores the reason in its note.

    Its jobs stop even when the note cannot be written, because other triggers depend on that.
    """
    stop_jobs(conn, [trigger_id], with_expiry=True)
    note = quarantine_note(error)
    try:
        with conn.begin_nested():
            row = conn.execute(DISABLE, {"id": trigger_id, "note": note}).one()
            record_event(
                conn,
                action="trigger.quarantined",
                tenant_id=row.tenant_id,
                subject_id=trigger_id,
                agent_id=row.agent_id,
                why=note,
            )
    except Exception as second:  # noqa: BLE001
        logger.error(
            "Trigger {} is stopped ({}), but that could not be recorded: {}", trigger_id, note, first_line(second)
        )
