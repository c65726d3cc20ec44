"""Replays webhook deliveries: a single one, or those of a time range."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from scheduler.intake.webhooks.redeliver import Redelivery, redeliver, redeliver_range
from scheduler.manage.agents.rights import check_may_change
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import get_view


class Deliveries:
    """The operations on deliveries. Every method is one transaction and writes an audit event."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def replay(
        self, tenant_id: UUID, trigger_id: UUID, delivery_id: UUID, *, actor: str, by_agent: bool = False
    ) -> Redelivery:
        """Fires again with the body of one delivery, regardless of its id, the filter and the rate limit.

        Raises NotFound, Conflict when the trigger may not fire, and Forbidden for an agent that may not change it.
        """
        with self._db.begin() as conn:
            _check(conn, tenant_id, trigger_id, by_agent=by_agent)
            return redeliver(conn, tenant_id, trigger_id, delivery_id, actor=actor)

    def replay_range(
        self,
        tenant_id: UUID,
        trigger_id: UUID,
        since: datetime,
        until: datetime,
        *,
        actor: str,
        by_agent: bool = False,
    ) -> list[Redelivery]:
        """Fires again with each delivery of a range, oldest first; all or none. Raises as `replay` does."""
        with self._db.begin() as conn:
            _check(conn, tenant_id, trigger_id, by_agent=by_agent)
            return redeliver_range(conn, tenant_id, trigger_id, since, until, actor=actor)


def _check(conn: Connection, tenant_id: UUID, trigger_id: UUID, *, by_agent: bool) -> None:
    found = get_view(conn, tenant_id, trigger_id)
    if by_agent:
        check_may_change(found)
