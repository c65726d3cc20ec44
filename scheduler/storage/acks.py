"""What agents said of firings, counted."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, func, select

from scheduler.storage.tables import Firing


def count_acks(conn: Connection, trigger_id: UUID) -> dict[str, int]:
    """A trigger's firings by acknowledgement, without those that have none."""
    rows = conn.execute(
        select(Firing.ack, func.count())
        .where(Firing.trigger_id == trigger_id, Firing.ack.is_not(None))
        .group_by(Firing.ack)
    )
    return {str(ack): count for ack, count in rows}
