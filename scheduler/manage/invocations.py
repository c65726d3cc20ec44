"""Cancels invocations and replays their firings."""

from __future__ import annotations

from uuid import UUID

from scheduler.invocations.lifecycle import request_cancel
from scheduler.invocations.replay import replay
from scheduler.storage.engine import Database
from scheduler.storage.read_models.history import get_invocation
from scheduler.storage.tables.core import Invocation


class Invocations:
    """The operations on invocations. Every change is one transaction and writes an audit event."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def cancel(self, tenant_id: UUID, invocation_id: UUID, *, actor: str) -> Invocation:
        """Cancels an invocation; a running one is cancelled when it ends.

        Raises NotFound, Conflict for an ended one.
        """
        with self._db.begin() as conn:
            get_invocation(conn, tenant_id, invocation_id)
            request_cancel(conn, tenant_id, invocation_id, actor)
            return get_invocation(conn, tenant_id, invocation_id)

    def replay(self, tenant_id: UUID, invocation_id: UUID, *, actor: str) -> UUID:
        """Delivers an ended invocation's firings again; returns the id of the new invocation.

        Raises NotFound, Conflict.
        """
        with self._db.begin() as conn:
            get_invocation(conn, tenant_id, invocation_id)
            return replay(conn, tenant_id, invocation_id, actor)
