"""Sends notifications to targets: one job per attempt, deferred in the transaction that makes it due."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection, func, insert, text

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError
from scheduler.domain.ids import new_id
from scheduler.domain.notification import content_of
from scheduler.domain.retries import MAX_TRIES, SPREAD, is_last_try, retry_delay
from scheduler.net.client import GuardedClient
from scheduler.net.errors import is_put_off, parse_retry_after
from scheduler.notifications.targets.kinds import NotSent, Outgoing, Target
from scheduler.notifications.targets.registry import open_target
from scheduler.queue.tasks import defer_deliveries
from scheduler.storage.arrays import uuid_array
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.pipelines import Answer, send_along
from scheduler.storage.rows import row_as
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.notifications import NotificationDelivery

LEASE = timedelta(seconds=60)
"""How long a delivery may take, including its wait in the queue, before it is requeued."""
NOTE_LENGTH = 500

TARGETS_OF = text("SELECT agent_id, id FROM notification_targets WHERE agent_id = ANY(CAST(:agent_ids AS uuid[]))")

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

T = TypeVar("T")

QUEUED_AT_ONCE = 200
LOST = NotSent("Every worker that tried to send it was lost.", permanent=True)


def send_on(conn: Connection, told: Mapping[UUID, UUID], targets: Answer) -> None:
    """Queues each notification for each target of its agent, in the caller's transaction.

    `told` maps them to agents, of whose `targets` was asked.
    """
    defer_deliveries(conn, [(each, 1) for each in add_deliveries(conn, told, targets)])


def send_again(db: Database) -> int:
    """Requeues deliveries that are due for another attempt or were lost with a worker; returns how many. A duty."""
    with db.begin() as conn:
        due = conn.execute(QUEUE_AGAIN, {"lease": LEASE, "limit": QUEUED_AT_ONCE}).all()
        defer_deliveries(conn, [(row.id, row.attempt + 1) for row in due])
    return len(due)


class Deliverer:
    """Sends notifications on one event loop, with a thread for the database."""

    def __init__(self, db: Database, box: SecretBox, client: GuardedClient, clock: Clock) -> None:
        """Uses one of `db`'s connections at a time."""
        self._db = db
        self._box = box
        self._client = client
        self._clock = clock
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="deliver")

    async def deliver(self, delivery_id: UUID, attempt: int) -> None:
        """The Procrastinate job: one attempt. Never raises: an interrupted one is requeued when its lease ends."""
        try:
            delivery = await self._transact(lambda conn: claim_delivery(conn, delivery_id, attempt))
            if delivery is not None:
                problem = await self._send(delivery)
                await self._transact(lambda conn: _end(conn, delivery, problem))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this delivery's alone
            logger.opt(exception=not isinstance(error, ReveilleError)).warning(
                "Notification delivery {} failed: {}", delivery_id, str(error).partition("\n")[0]
            )

    def close(self) -> None:
        """Stops the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send(self, delivery: Delivery) -> NotSent | None:
        if delivery.attempt - delivery.put_offs > MAX_TRIES:
            return LOST
        try:
            held = json.loads(self._box.decrypt(delivery.secrets))
            target = open_target(delivery.kind, held["secret"])
        except ReveilleError as error:
            return NotSent(error.message, permanent=True)
        return await send(self._client, self._clock, held["url"], target, _outgoing(delivery))

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        def call() -> T:
            with self._db.begin() as conn:
                return work(conn)

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _outgoing(delivery: Delivery) -> Outgoing:
    return Outgoing(
        id=delivery.notification_id,
        invocation_id=delivery.invocation_id,
        agent_id=delivery.agent_id,
        agent_name=delivery.agent_name,
        content=content_of(delivery.summary, delivery.reply),
        triggers=tuple(delivery.triggers),
        created_at=delivery.created_at,
        alert_id=delivery.alert_id,
        event=delivery.event,
    )


def _end(conn: Connection, delivery: Delivery, problem: NotSent | None) -> None:
    """Writes the end of an attempt: delivered, retried later, or given up and audited."""
    if problem is None:
        end_delivery(conn, delivery, None, None)
    elif problem.permanent or is_last_try(
        delivery.attempt - delivery.put_offs - 1, delivery.age, was_put_off=problem.was_put_off
    ):
        if end_delivery(conn, delivery, problem.error, None):
            record_event(
                conn,
                action="notification_target.failed",
                tenant_id=delivery.tenant_id,
                subject_id=delivery.target_id,
                agent_id=delivery.agent_id,
                name=delivery.target_name,
                invocation_id=delivery.invocation_id and str(delivery.invocation_id),
                attempts=delivery.attempt,
                error=problem.error,
            )
    else:
        spread = random.uniform(-SPREAD, SPREAD)  # noqa: S311  # no secret
        delay = retry_delay(delivery.attempt, problem.retry_after, spread)
        end_delivery(conn, delivery, problem.error, delay, put_off=problem.was_put_off)


TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 65_536
TEMPORARY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""The 4xx statuses that mean "later"."""


async def send(client: GuardedClient, clock: Clock, url: str, target: Target, note: Outgoing) -> NotSent | None:
    """Sends once; returns None on success. Errors contain neither the URL nor the response, as both may be secret."""
    call = target.call(note, clock.now())
    try:
        answer = await client.request(
            "POST",
            url,
            headers=call.headers,
            content=call.body,
            timeout=TIMEOUT_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
            truncate=True,
            lenient=True,
        )
    except ReveilleError as error:
        return NotSent(error.message, permanent=error.permanent)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return target.refusal(answer)
    is_temporary = answer.status in TEMPORARY or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    later = parse_retry_after(answer.headers.get("retry-after"), clock.now()) if is_temporary else None
    was_put_off = is_put_off(answer.status, later)
    return NotSent(f"The target answered HTTP {answer.status}.", not is_temporary, later, was_put_off)


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


def ask_targets(conn: Connection, agent_ids: Iterable[UUID]) -> Answer:
    """Asks for the targets of agents, as pairs of agent and target."""
    return send_along(conn, TARGETS_OF, agent_ids=uuid_array(agent_ids))


def add_deliveries(conn: Connection, told: Mapping[UUID, UUID], targets: Answer) -> list[UUID]:
    """Adds a delivery of each notification to each target of its agent; returns their ids.

    `told`: notification to agent. `targets`: the answer to `ask_targets`.
    """
    due_at = func.clock_timestamp() + LEASE
    found = targets.all()
    rows = [
        {"id": new_id(), "notification_id": notification_id, "target_id": target_id}
        for notification_id, agent_id in told.items()
        for its_agent_id, target_id in found
        if its_agent_id == agent_id
    ]
    if rows:
        conn.execute(insert(NotificationDelivery).values([row | {"due_at": due_at} for row in rows]))
    return [row["id"] for row in rows]


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
