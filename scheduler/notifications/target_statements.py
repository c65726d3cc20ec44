"""Stores notification targets and the deliveries to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, any_, delete, func, insert, literal, select, text, update

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_id
from scheduler.storage.faults import refuse_duplicate
from scheduler.storage.notification_tables import NotificationDelivery, NotificationTarget
from scheduler.storage.rows import one_as, row_as, rows_as

TARGETS = NotificationTarget.__table__
MAX_TARGETS = 10
DUPLICATE = "The agent already has a target with that name; choose another."
LEASE = timedelta(seconds=60)
"""How long a delivery may take, including its wait in the queue, before it is requeued."""
NOTE_LENGTH = 500

QUEUE_AGAIN = text("""
    UPDATE notification_deliveries d SET due_at = clock_timestamp() + :lease
    FROM (
        SELECT id FROM notification_deliveries WHERE state = 'pending' AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ) due
    WHERE d.id = due.id
    RETURNING d.id, d.attempt
""")

# The attempt is the fencing token, as with invocations: of two jobs for the same attempt, one gets nothing.
CLAIM = text("""
    WITH claimed AS (
        UPDATE notification_deliveries SET attempt = attempt + 1, due_at = clock_timestamp() + :lease
        WHERE id = :id AND state = 'pending' AND attempt = :attempt - 1
        RETURNING id, notification_id, target_id, attempt, put_offs
    )
    SELECT c.id, c.attempt, c.put_offs, clock_timestamp() - n.created_at AS age, c.target_id, t.tenant_id, t.agent_id,
        t.name AS target_name, t.kind, t.secrets, c.notification_id, n.invocation_id,
        coalesce(n.summary, 'Reveille') AS summary, coalesce(n.triggers, ARRAY[]::text[]) AS triggers,
        coalesce(n.created_at, x.created_at) AS created_at, a.name AS agent_name,
        coalesce(n.failure, i.reply, x.text, '') AS reply, x.alert_id, x.event
    FROM claimed c JOIN notification_targets t ON t.id = c.target_id JOIN agents a ON a.id = t.agent_id
    LEFT JOIN notifications n ON n.id = c.notification_id LEFT JOIN invocations i ON i.id = n.invocation_id
    LEFT JOIN alert_notices x ON x.id = c.notification_id
    WHERE n.id IS NOT NULL OR x.id IS NOT NULL
""")
END = text("""
    UPDATE notification_deliveries
    SET state = :state, error = :error, ended_at = CASE WHEN :state = 'pending' THEN NULL ELSE clock_timestamp() END,
        due_at = clock_timestamp() + CAST(:delay AS interval), put_offs = put_offs + :put_off
    WHERE id = :id AND state = 'pending' AND attempt = :attempt
    RETURNING target_id
""")
NOTE_SENT = text("""
    UPDATE notification_targets SET delivered_at = clock_timestamp(), note = NULL, noted_at = NULL WHERE id = :id
""")
NOTE_FAILED = text("UPDATE notification_targets SET note = :note, noted_at = clock_timestamp() WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification to send to a target now, as attempt number `attempt`, counted from 1."""

    id: UUID
    attempt: int
    put_offs: int
    """The earlier attempts that do not count, as the receiver said when to come back."""
    age: timedelta
    target_id: UUID
    tenant_id: UUID
    agent_id: UUID
    target_name: str
    kind: str
    secrets: bytes
    notification_id: UUID
    invocation_id: UUID | None
    """None for an alert."""
    summary: str
    triggers: list[str]
    created_at: datetime
    agent_name: str
    reply: str
    alert_id: UUID | None
    event: str | None
    """What became of the alert: `opened`, `open` or `closed`."""


def create_target(
    conn: Connection, tenant_id: UUID, agent_id: UUID, values: Mapping[str, Any]
) -> NotificationTarget:
    """Creates a target for an agent that the caller has locked; raises Conflict on its name, or at the limit."""
    count = conn.scalar(select(func.count()).where(NotificationTarget.agent_id == agent_id)) or 0
    if count >= MAX_TARGETS:
        raise Conflict(f"An agent has at most {MAX_TARGETS} targets; delete one first.")
    with refuse_duplicate("uq_notification_targets_name", DUPLICATE):
        made = insert(NotificationTarget).values(tenant_id=tenant_id, agent_id=agent_id, **values)
        return one_as(NotificationTarget, conn.execute(made.returning(TARGETS)))


def get_target(conn: Connection, tenant_id: UUID, target_id: UUID, *, lock: bool = False) -> NotificationTarget:
    """Returns a tenant's target; raises NotFound. `lock` locks the row until commit."""
    statement = select(TARGETS).where(
        NotificationTarget.id == target_id, NotificationTarget.tenant_id == tenant_id
    )
    row = row_as(NotificationTarget, conn.execute(statement.with_for_update() if lock else statement))
    if row is None:
        raise NotFound(f"There is no notification target '{target_id}'.")
    return row


def list_targets(
    conn: Connection, agent_id: UUID, *, limit: int, after: UUID | None = None
) -> Sequence[NotificationTarget]:
    """Lists up to `limit` of an agent's targets, newest first, older than `after`."""
    statement = select(TARGETS).where(NotificationTarget.agent_id == agent_id)
    if after is not None:
        statement = statement.where(NotificationTarget.id < after)
    return rows_as(NotificationTarget, conn.execute(statement.order_by(NotificationTarget.id.desc()).limit(limit)))


def update_target(conn: Connection, target_id: UUID, values: Mapping[str, Any]) -> NotificationTarget:
    """Updates a target that the caller has locked; raises Conflict on its name."""
    with refuse_duplicate("uq_notification_targets_name", DUPLICATE):
        changed = update(NotificationTarget).where(NotificationTarget.id == target_id).values(**values)
        return one_as(NotificationTarget, conn.execute(changed.returning(TARGETS)))


def delete_target(conn: Connection, target_id: UUID) -> None:
    """Deletes a target; pending deliveries to it are dropped."""
    conn.execute(delete(NotificationTarget).where(NotificationTarget.id == target_id))


def add_deliveries(conn: Connection, told: Mapping[UUID, UUID]) -> list[UUID]:
    """Adds a delivery of each notification to each target of its agent; returns their ids.

    `told`: notification to agent.
    """
    targets = conn.execute(
        select(NotificationTarget.id, NotificationTarget.agent_id).where(
            NotificationTarget.agent_id == any_(literal(list(told.values()), ARRAY(Uuid())))
        )
    ).all()
    due_at = func.clock_timestamp() + LEASE
    rows = [
        {"id": new_id(), "notification_id": notification_id, "target_id": target.id}
        for notification_id, agent_id in told.items()
        for target in targets
        if target.agent_id == agent_id
    ]
    if rows:
        conn.execute(insert(NotificationDelivery).values([row | {"due_at": due_at} for row in rows]))
    return [row["id"] for row in rows]


def due_again(conn: Connection, limit: int) -> list[tuple[UUID, int]]:
    """Returns up to `limit` deliveries that are due for another attempt or whose job was lost: `(id, attempts)`."""
    rows = conn.execute(QUEUE_AGAIN, {"lease": LEASE, "limit": limit})
    return [(row.id, row.attempt) for row in rows]


def claim_delivery(conn: Connection, delivery_id: UUID, attempt: int) -> Delivery | None:
    """Starts attempt `attempt`; None when it was started before, has ended, or its target is gone."""
    return row_as(Delivery, conn.execute(CLAIM, {"id": delivery_id, "attempt": attempt, "lease": LEASE}))


def end_delivery(
    conn: Connection, delivery: Delivery, error: str | None, delay: float | None, *, put_off: bool = False
) -> bool:
    """Ends an attempt: delivered (no `error`), retried after `delay` seconds, or given up;

    False when it is not ours.
    """
    state = "pending" if delay is not None else "delivered" if error is None else "dead"
    note = None if error is None else error[:NOTE_LENGTH]
    values = {
        "id": delivery.id,
        "attempt": delivery.attempt,
        "state": state,
        "error": note,
        "delay": None if delay is None else timedelta(seconds=delay),
        "put_off": int(put_off),
    }
    if conn.execute(END, values).one_or_none() is None:
        return False
    if error is None:
        conn.execute(NOTE_SENT, {"id": delivery.target_id})
    else:
        conn.execute(NOTE_FAILED, {"id": delivery.target_id, "note": note})
    return True
