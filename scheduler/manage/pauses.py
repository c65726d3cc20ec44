"""Pauses and resumes a tenant, or everything. Individual pauses of agents and triggers are kept."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.invocations.transitions import freeing
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database, notify
from scheduler.storage.pauses import (
    Pause,
    lock_service_pause,
    read_service_pause,
    read_tenant_pause,
    write_pause,
)

_HELD = "state IN ('collecting', 'retrying') AND due_at IS NULL AND held_reason = 'paused'"
FREE_OF_TENANT = text(freeing(f"tenant_id = :tenant_id AND {_HELD}"))
FREE_ALL = text(freeing(_HELD))


class Pauses:
    """The operations on pauses of tenants and the service. Firings are still recorded."""

    def __init__(self, db: Database) -> None:
        """Each operation is its own transaction."""
        self._db = db

    def of_tenant(self, tenant_id: UUID) -> Pause:
        """Returns a tenant's own pause. Raises NotFound."""
        with self._db.begin() as conn:
            return read_tenant_pause(conn, tenant_id)

    def of_service(self) -> Pause:
        """Returns the pause of the whole service."""
        with self._db.begin() as conn:
            return read_service_pause(conn)

    def pause(self, tenant_id: UUID | None, *, actor: str, note: str | None = None) -> Pause:
        """Pauses a tenant, or everything if None: no window closes and no run starts.

        Running invocations finish. Pausing again only changes the note. Raises NotFound.
        """
        with self._db.begin() as conn:
            before = _lock(conn, tenant_id)
            if before.is_paused and note is None:
                return before
            paused = write_pause(conn, tenant_id, actor, note)
            _audit(conn, "paused", tenant_id, actor, note)
        return paused

    def resume(self, tenant_id: UUID | None, *, actor: str) -> Pause:
        """Ends the pause: waiting firings are delivered now, except for agents paused individually.

        Raises NotFound.
        """
        with self._db.begin() as conn:
            before = _lock(conn, tenant_id)
            if not before.is_paused:
                return before
            resumed = write_pause(conn, tenant_id, None, None)
            # A window whose agent or tenant is still paused is held again by the next pass.
            if tenant_id is None:
                conn.execute(FREE_ALL)
            else:
                conn.execute(FREE_OF_TENANT, {"tenant_id": tenant_id})
            notify(conn)
            _audit(conn, "resumed", tenant_id, actor, None)
        return resumed


def _lock(conn: Connection, tenant_id: UUID | None) -> Pause:
    return lock_service_pause(conn) if tenant_id is None else read_tenant_pause(conn, tenant_id, lock=True)


def _audit(conn: Connection, verb: str, tenant_id: UUID | None, actor: str, note: str | None) -> None:
    """Writes to the tenant's own trail, where its people look for why nothing is woken."""
    subject = "service" if tenant_id is None else "tenant"
    event = Event(f"{subject}.{verb}", tenant_id, subject_id=tenant_id, actor=actor, detail={"note": note})
    record_events(conn, [event])
