"""Tells the notification targets of an alert: once when it opens, once when it closes, and again if asked to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.ids import new_id
from scheduler.notifications.target_statements import LEASE
from scheduler.queue.tasks import defer_deliveries
from scheduler.storage.rows import insert_rows
from scheduler.storage.tenants import DEFAULT_TENANT

OPENED, REMINDER, CLOSED = "opened", "open", "closed"

TARGETS_OF = text("""
    SELECT id, tenant_id, agent_id FROM notification_targets WHERE tenant_id = ANY(CAST(:tenants AS uuid[]))
""")
ADD = text("""
    INSERT INTO notification_deliveries (id, notification_id, target_id, due_at)
    SELECT id, notification_id, target_id, clock_timestamp() + :lease
    FROM unnest(CAST(:ids AS uuid[]), CAST(:notices AS uuid[]), CAST(:targets AS uuid[]))
        AS v(id, notification_id, target_id)
""")


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of one alert."""

    alert_id: UUID
    tenant_id: UUID | None
    agent_id: UUID | None
    event: str
    text: str
    id: UUID = field(default_factory=new_id)


def queue_notices(conn: Connection, notices: Sequence[Notice]) -> None:
    """Queues each notice for the targets of its agent, in the caller's transaction.

    An agent without a target, a tenant and the service tell all targets of the tenant; the service's tenant is the
    default one.
    """
    if not notices:
        return
    insert_rows(
        conn,
        "alert_notices",
        [{"id": each.id, "alert_id": each.alert_id, "event": each.event, "text": each.text} for each in notices],
    )
    deliveries = _deliveries(conn, notices)
    if deliveries:
        ids = [new_id() for _ in deliveries]
        conn.execute(
            ADD,
            {
                "ids": ids,
                "notices": [notice for notice, _ in deliveries],
                "targets": [target for _, target in deliveries],
                "lease": LEASE,
            },
        )
        defer_deliveries(conn, [(each, 1) for each in ids])


def _deliveries(conn: Connection, notices: Sequence[Notice]) -> list[tuple[UUID, UUID]]:
    tenants = {each.tenant_id or DEFAULT_TENANT for each in notices}
    of_agents: dict[UUID, list[UUID]] = defaultdict(list)
    of_tenants: dict[UUID, list[UUID]] = defaultdict(list)
    for row in conn.execute(TARGETS_OF, {"tenants": list(tenants)}):
        of_agents[row.agent_id].append(row.id)
        of_tenants[row.tenant_id].append(row.id)
    return [
        (notice.id, target)
        for notice in notices
        for target in (notice.agent_id and of_agents.get(notice.agent_id))
        or of_tenants[notice.tenant_id or DEFAULT_TENANT]
    ]
