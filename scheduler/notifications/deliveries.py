"""Sends notifications to targets: one job per attempt, deferred in the transaction that makes it due."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ReveilleError
from scheduler.domain.notification import content_of
from scheduler.domain.retries import MAX_TRIES, SPREAD, is_last_try, retry_delay
from scheduler.net.client import GuardedClient
from scheduler.net.errors import is_put_off, parse_retry_after
from scheduler.notifications.target_statements import (
    Delivery,
    add_deliveries,
    claim_delivery,
    due_again,
    end_delivery,
)
from scheduler.notifications.targets.base import NotSent, Outgoing, Target
from scheduler.notifications.targets.registry import open_target
from scheduler.queue.tasks import defer_deliveries
from scheduler.storage.audit import record_event
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox

T = TypeVar("T")

QUEUED_AT_ONCE = 200
LOST = NotSent("Every worker that tried to send it was lost.", permanent=True)


def send_on(conn: Connection, told: Mapping[UUID, UUID]) -> None:
    """Queues each notification for each target of its agent, in the caller's transaction.

    `told` maps them to agents.
    """
    defer_deliveries(conn, [(each, 1) for each in add_deliveries(conn, told)])


def send_again(db: Database) -> int:
    """Requeues deliveries that are due for another attempt or were lost with a worker; returns how many. A duty."""
    with db.begin() as conn:
        due = due_again(conn, QUEUED_AT_ONCE)
        defer_deliveries(conn, [(each, tries + 1) for each, tries in due])
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
