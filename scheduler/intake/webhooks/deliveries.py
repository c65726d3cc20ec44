"""Webhook intake: deliveries become firings, and are answered once they are durable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import BadSignature, LimitReached, NotFound, ReveilleError
from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.domain.signatures import SignedRequest, verify
from scheduler.firings.new_firing import NewFiring, gate
from scheduler.firings.record import record_firings
from scheduler.firings.trigger_locks import LockedTrigger
from scheduler.intake.webhooks.cache import MINUTE, HookMemory, Meter
from scheduler.intake.webhooks.group_commit import GroupCommit
from scheduler.intake.webhooks.statements import (
    NewDelivery,
    Verdict,
    count_unaccepted,
    find_firings,
    insert_deliveries,
    lock_hooks,
)
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import Database
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.webhook import WebhookConfig

MAX_BODY = 64 * 1024
"""Bytes that a delivery's body may have."""
KEPT_A_MINUTE = 20
"""Of what is not accepted, so many are kept for each trigger and verdict: a flood must not fill the disk."""
ID_HEADERS = ("x-github-delivery", "webhook-id", "idempotency-key")
LONGEST_ID = 200

AUDITED = {Verdict.BAD_SIGNATURE: "webhook.rejected", Verdict.RATE_LIMITED: "webhook.rate_limited"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call of a webhook as it came in. Names in `headers` are lower case; `url` is the public one it called."""

    token_hash: bytes
    headers: Mapping[str, str]
    body: bytes
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a delivery that was taken; it made no firing when the trigger's filter passed it over."""

    firing_id: UUID | None
    duplicate: bool = False
    filtered: bool = False


class Intake:
    """Takes deliveries from many threads at once; those that wait at the same time share a transaction."""

    def __init__(self, db: Database, box: SecretBox) -> None:
        self._db = db
        self._memory = HookMemory(box)
        self._group = GroupCommit(self._record)

    def receive(self, delivery: Delivery) -> Receipt:
        """Record `delivery`; returns once it is committed.

        Raises NotFound (no such webhook, or it is disabled), BadSignature, LimitReached,
        DatabaseUnavailable.
        """
        outcome = self._group.submit(delivery)
        if isinstance(outcome, ReveilleError):
            raise outcome
        return outcome

    def _record(self, deliveries: Sequence[Delivery]) -> list[Receipt | ReveilleError]:
        with self._db.begin() as conn:
            return record_deliveries(conn, deliveries, self._memory)


def record_deliveries(
    conn: Connection, deliveries: Sequence[Delivery], memory: HookMemory
) -> list[Receipt | ReveilleError]:
    """Judge deliveries in their order and record all of them in the caller's transaction.

    Everything is decided under the locks of their triggers by what the database holds, so any number of
    processes count one rate and take one delivery id once.
    """
    hooks = lock_hooks(conn, {delivery.token_hash for delivery in deliveries})
    if not hooks:
        return [_unknown() for _ in deliveries]
    now, meters = memory.meters(conn, hooks.values())
    open_hooks = {
        token_hash: _OpenHook(hook.trigger, memory.config(hook), meters[hook.trigger.id])
        for token_hash, hook in hooks.items()
    }
    arrivals = [_arrive(delivery, open_hooks.get(delivery.token_hash)) for delivery in deliveries]
    occurrences = {(each.hook.trigger.id, each.key) for each in arrivals if each is not None and each.key}
    ledger = _Ledger(now, find_firings(conn, occurrences))
    outcomes = [_unknown() if each is None else ledger.judge(each) for each in arrivals]
    ledger.write(conn)
    return outcomes


def occurrence_key(headers: Mapping[str, str], scheme: str | None) -> str | None:
    """What tells a delivery from others of its trigger; None when its sender gave it no id.

    Standard Webhooks signs its id, so there no other header counts: a new one would let a delivery be replayed.
    """
    names: tuple[str, ...] = ID_HEADERS
    if scheme is not None and scheme.startswith("standard-webhooks"):
        names = ("webhook-id",) if "webhook-signature" in headers else ("svix-id",)
    for name in names:
        value = headers.get(name, "").strip()
        if value and len(value) <= LONGEST_ID and value.isprintable():
            return f"delivery:{name}:{value}"
        if value:
            return f"delivery-sha256:{name}:{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return None


@dataclass(frozen=True, slots=True)
class _OpenHook:
    """A webhook in this transaction."""

    trigger: LockedTrigger
    config: WebhookConfig
    meter: Meter

    def is_closed(self, now: datetime) -> bool:
        spent = self.trigger.max_fires is not None and (
            self.trigger.fire_count + self.meter.taken >= self.trigger.max_fires
        )
        return spent or gate(self.trigger, now) is not None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A delivery to a webhook that there is."""

    hook: _OpenHook
    delivery: Delivery
    key: str | None


def _arrive(delivery: Delivery, hook: _OpenHook | None) -> _Arrival | None:
    if hook is None:
        return None
    signature = hook.config.signature
    return _Arrival(hook, delivery, occurrence_key(delivery.headers, signature.scheme if signature else None))


class _Ledger:
    """What one transaction decides and writes."""

    def __init__(self, now: datetime, recorded: dict[tuple[UUID, str], UUID]) -> None:
        self._now = now
        self._recorded = recorded
        self._firings: list[NewFiring] = []
        self._accepted: list[NewDelivery] = []
        self._unaccepted: list[NewDelivery] = []

    def judge(self, arrival: _Arrival) -> Receipt | ReveilleError:
        """Decide by trigger, signature, duplicate, filter and rate, in this order."""
        hook, delivery = arrival.hook, arrival.delivery
        if hook.is_closed(self._now):
            return _unknown()
        if hook.config.signature is not None:
            request = SignedRequest(delivery.headers, delivery.body, delivery.url)
            verdict = verify(hook.config.signature, request, self._now)
            if not verdict.accepted:
                self._keep(arrival, Verdict.BAD_SIGNATURE, verdict.reason)
                return BadSignature(f"The signature is not accepted: {verdict.reason}.")
        first = arrival.key and self._recorded.get((hook.trigger.id, arrival.key))
        if first:
            self._keep(arrival, Verdict.DUPLICATE, firing_id=first)
            return Receipt(first, duplicate=True)
        mismatch = hook.config.filter and hook.config.filter.mismatch(delivery.headers, delivery.body)
        if mismatch:
            self._keep(arrival, Verdict.FILTERED, mismatch, body=delivery.body)
            return Receipt(None, filtered=True)
        wait = hook.meter.wait(self._now)
        if wait is not None:
            rule = f"this webhook takes {hook.meter.limit} deliveries a minute"
            self._keep(arrival, Verdict.RATE_LIMITED, rule)
            seconds = wait.total_seconds()
            room = f"; there is room again in {max(math.ceil(seconds), 1)} s" if hook.meter.limit else ""
            return LimitReached(f"Too many: {rule}{room}.", retry_after=seconds)
        return self._accept(arrival)

    def write(self, conn: Connection) -> None:
        """Record what was decided."""
        record_firings(conn, self._firings)
        insert_deliveries(conn, [*self._accepted, *self._bounded(conn)])

    def _accept(self, arrival: _Arrival) -> Receipt:
        hook, delivery, firing_id = arrival.hook, arrival.delivery, new_id()
        self._firings.append(
            NewFiring(
                hook.trigger,
                arrival.key or f"delivery:{firing_id}",
                firing_id,
                payload=delivery.body,
                content_type=delivery.headers.get("content-type"),
                trust=Trust.VERIFIED if hook.config.signature else Trust.UNAUTHENTICATED,
            )
        )
        self._keep(arrival, Verdict.ACCEPTED, firing_id=firing_id)
        hook.meter.taken += 1
        if arrival.key:
            self._recorded[hook.trigger.id, arrival.key] = firing_id
        return Receipt(firing_id)

    def _keep(
        self,
        arrival: _Arrival,
        verdict: Verdict,
        reason: str | None = None,
        *,
        firing_id: UUID | None = None,
        body: bytes | None = None,
    ) -> None:
        rows = self._accepted if verdict is Verdict.ACCEPTED else self._unaccepted
        rows.append(
            NewDelivery(
                arrival.hook.trigger,
                verdict,
                self._now,
                len(arrival.delivery.body),
                reason=reason,
                delivery_key=arrival.key,
                content_type=arrival.delivery.headers.get("content-type"),
                body=body,
                firing_id=firing_id,
            )
        )

    def _bounded(self, conn: Connection) -> list[NewDelivery]:
        """As much of what was not accepted as may be kept; the first refusal in a minute is also audited."""
        kinds = {(each.trigger.id, each.verdict) for each in self._unaccepted}
        counts = count_unaccepted(conn, kinds, self._now - MINUTE, KEPT_A_MINUTE)
        kept: list[NewDelivery] = []
        events: list[Event] = []
        for each in self._unaccepted:
            kind = (each.trigger.id, each.verdict)
            if counts[kind] == 0 and each.verdict in AUDITED:
                events.append(_event(each))
            if counts[kind] < KEPT_A_MINUTE:
                kept.append(each)
            counts[kind] += 1
        record_events(conn, events)
        return kept


def _event(delivery: NewDelivery) -> Event:
    trigger = delivery.trigger
    detail = {"reason": delivery.reason, "delivery_id": str(delivery.id)}
    return Event(AUDITED[delivery.verdict], trigger.tenant_id, trigger.id, trigger.agent_id, detail=detail)


def _unknown() -> NotFound:
    return NotFound("There is no webhook at this address, or it is disabled.")
