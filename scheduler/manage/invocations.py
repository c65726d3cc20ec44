"""Cancels invocations, or delivers their firings again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from scheduler.invocations.lifecycle import request_cancel
from scheduler.invocations.replay import replay
from scheduler.storage.engine import Database
from scheduler.storage.queries import get_invocation


class Invocations:
    """What can be done with invocations. Every change is one transaction and leaves an audit event."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def cancel(self, tenant_id: UUID, invocation_id: UUID, *, actor: str) -> Row[Any]:
        """Cancel an invocation; one that runs is cancelled at its end. Raises NotFound, Conflict for an ended one."""
        with self._db.begin() as conn:
            get_invocation(conn, tenant_id, invocation_id)
            request_cancel(conn, tenant_id, invocation_id, actor)
            return get_invocation(conn, tenant_id, invocation_id)

    def replay(self, tenant_id: UUID, invocation_id: UUID, *, actor: str) -> UUID:
        """Deliver an ended invocation's firings again; the id of what will carry them. Raises NotFound, Conflict."""
        with self._db.begin() as conn:
            get_invocation(conn, tenant_id, invocation_id)
            return replay(conn, tenant_id, invocation_id, actor)
