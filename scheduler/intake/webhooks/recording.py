"""Decides and records deliveries, many in one transaction."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import BadSignature, LimitReached, NotFound, ReveilleError
from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.domain.text import counted
from scheduler.domain.traces import valid_traceparent
from scheduler.domain.webhook_parts import echo_of_post
from scheduler.firings.new_firing import LockedTrigger, NewFiring, gate
from scheduler.firings.record import record_firings
from scheduler.intake.webhooks.cache import MINUTE, HookMemory, RateWindow
from scheduler.intake.webhooks.delivery import (
    Delivery,
    FilterPending,
    FilterResult,
    OccurrenceKeys,
    Receipt,
    RecordedDelivery,
    identify,
    parts_of,
    too_large,
    wrong_signature,
)
from scheduler.intake.webhooks.statements import (
    NewDelivery,
    Verdict,
    count_unaccepted,
    find_firings,
    insert_deliveries,
    lock_hooks,
)
from scheduler.metrics import WEBHOOKS, later, tally_by
from scheduler.storage.audit import Event, record_events
from scheduler.triggers.webhook import WebhookConfig

KEPT_A_MINUTE = 20
"""How many unaccepted deliveries are kept for each trigger and verdict per minute, so that a flood does not fill
the disk.
"""
REFUSED_BYTES = 2_000
"""How much of a body is kept of a delivery that did not fire, so that a person sees what it carried."""

AUDITED = {Verdict.BAD_SIGNATURE: "webhook.rejected", Verdict.RATE_LIMITED: "webhook.rate_limited"}
STOPPED = "webhook.filter_stopped"

Outcome = Receipt | FilterPending | ReveilleError


def record_deliveries(conn: Connection, deliveries: Sequence[Delivery], memory: HookMemory) -> list[Outcome]:
    """Judges deliveries in order and records all of them in the caller's transaction.

    Every decision is made under the triggers' locks from the database's state, so that any number of processes
    share one rate limit and accept each delivery id once.
    """
    hooks = lock_hooks(conn, {delivery.token_hash for delivery in deliveries})
    if not hooks:
        return [_unknown() for _ in deliveries]
    now, meters = memory.meters(conn, hooks.values())
    open_hooks = {
        token_hash: _OpenHook(hook.trigger, memory.config(hook), meters[hook.trigger.id], hook.most_bytes)
        for token_hash, hook in hooks.items()
    }
    arrivals = [_arrive(delivery, open_hooks.get(delivery.token_hash)) for delivery in deliveries]
    occurrences = {
        (each.hook.trigger.id, key)
        for each in arrivals
        if each is not None and each.identity is not None
        for key in each.identity.keys
    }
    ledger = _Ledger(now, find_firings(conn, occurrences))
    outcomes = [_unknown() if each is None else ledger.judge(each) for each in arrivals]
    ledger.write(conn)
    return outcomes


@dataclass(frozen=True, slots=True)
class _OpenHook:
    """A locked webhook in this transaction."""

    trigger: LockedTrigger
    config: WebhookConfig
    meter: RateWindow
    most_bytes: int

    @property
    def body_limit(self) -> int:
        return min(self.config.body_limit, self.most_bytes)

    def is_closed(self, now: datetime) -> bool:
        spent = self.trigger.max_fires is not None and (
            self.trigger.fire_count + self.meter.taken >= self.trigger.max_fires
        )
        return spent or gate(self.trigger, now) is not None


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A delivery to an existing webhook."""

    hook: _OpenHook
    delivery: Delivery
    identity: OccurrenceKeys | None


def _arrive(delivery: Delivery, hook: _OpenHook | None) -> _Arrival | None:
    if hook is None:
        return None
    signature = hook.config.signature
    scheme = signature.scheme if signature else None
    return _Arrival(hook, delivery, identify(scheme, delivery.headers, delivery.body))


class _Ledger:
    """The decisions and writes of one transaction."""

    def __init__(self, now: datetime, recorded: defaultdict[UUID, dict[str, RecordedDelivery]]) -> None:
        self._now = now
        self._recorded = recorded
        self._firings: list[NewFiring] = []
        self._accepted: list[NewDelivery] = []
        self._unaccepted: list[NewDelivery] = []

    def judge(self, arrival: _Arrival) -> Outcome:
        """Decides by trigger, signature, duplicate, rate and filter, in this order.

        A repeated delivery is reported as such even when the trigger accepts nothing more.
        """
        hook = arrival.hook
        if len(arrival.delivery.body) > hook.body_limit:
            return too_large(hook.body_limit)
        is_closed = hook.is_closed(self._now)
        wrong = wrong_signature(hook.config, arrival.delivery, self._now)
        if wrong is not None and not is_closed:
            self._keep(arrival, Verdict.BAD_SIGNATURE, wrong)
            return BadSignature(f"The signature is not accepted: {wrong}.")
        first = None if wrong is not None else self._first_of(arrival)
        if first is not None:
            self._keep(arrival, Verdict.DUPLICATE, _difference(arrival, first), firing_id=first.firing_id)
            return Receipt(first.firing_id, duplicate=True)
        if is_closed:
            return _unknown()
        echo = echo_of_post(
            hook.config.echoes, arrival.delivery.query, arrival.delivery.headers, arrival.delivery.body
        )
        if echo is not None:
            return Receipt(None, echo=echo)
        wait = hook.meter.wait(self._now)
        if wait is not None:
            rule = f"this webhook accepts {counted(hook.meter.limit, 'delivery', 'deliveries')} per minute"
            return self._limited(arrival, rule, wait.total_seconds(), there_is_room=bool(hook.meter.limit))
        return self._filtered(arrival) or self._accept(arrival)

    def _first_of(self, arrival: _Arrival) -> RecordedDelivery | None:
        if arrival.identity is None:
            return None
        return arrival.identity.first_of(self._recorded[arrival.hook.trigger.id])

    def _filtered(self, arrival: _Arrival) -> Outcome | None:
        """Returns None for a delivery that passes the filter."""
        hook, delivery = arrival.hook, arrival.delivery
        rule = hook.config.filter
        if rule is None:
            return None
        result = FilterResult(rule, rule.header_mismatch(delivery.headers))
        if result.mismatch is None and rule.json_path is not None:
            if delivery.filtered is None or delivery.filtered.filter != rule:
                return FilterPending(rule, hook.trigger.tenant_id, hook.trigger.agent_id)
            result = delivery.filtered
        if result.refusal is not None:
            return self._limited(arrival, result.refusal, result.retry_after)
        if result.mismatch is None:
            return None
        self._keep(
            arrival,
            Verdict.FILTERED,
            result.mismatch,
            body=delivery.body,
            data=parts_of(arrival.hook.config, arrival.delivery),
            was_stopped=result.was_stopped,
        )
        return Receipt(None, filtered=True)

    def _limited(
        self, arrival: _Arrival, rule: str, seconds: float, *, there_is_room: bool = True
    ) -> LimitReached:
        self._keep(arrival, Verdict.RATE_LIMITED, rule)
        room = f"; the next one is accepted in {max(math.ceil(seconds), 1)} s" if there_is_room else ""
        return LimitReached(f"Too many: {rule}{room}.", retry_after=seconds)

    def write(self, conn: Connection) -> None:
        """Writes what was decided."""
        record_firings(conn, self._firings)
        verdicts = Counter(each.verdict for each in (*self._accepted, *self._unaccepted))
        later(conn, tally_by(WEBHOOKS, [((verdict.value,), number) for verdict, number in verdicts.items()]))
        insert_deliveries(conn, [*self._accepted, *self._bounded(conn)])

    def _accept(self, arrival: _Arrival) -> Receipt:
        hook, delivery, firing_id = arrival.hook, arrival.delivery, new_id()
        key = self._new_key(arrival)
        self._firings.append(
            NewFiring(
                hook.trigger,
                key or f"delivery:{firing_id}",
                firing_id,
                payload=delivery.body,
                content_type=delivery.headers.get("content-type"),
                data=parts_of(arrival.hook.config, arrival.delivery),
                trust=Trust.VERIFIED if hook.config.signature else Trust.UNAUTHENTICATED,
                traceparent=valid_traceparent(delivery.headers.get("traceparent")),
            )
        )
        self._keep(arrival, Verdict.ACCEPTED, firing_id=firing_id)
        hook.meter.taken += 1
        if arrival.identity is not None and key is not None:
            self._recorded[hook.trigger.id][key] = RecordedDelivery(firing_id, arrival.identity.body_hash)
        return Receipt(firing_id)

    def _new_key(self, arrival: _Arrival) -> str | None:
        if arrival.identity is None:
            return None
        return arrival.identity.free_key(self._recorded[arrival.hook.trigger.id])

    def _keep(
        self,
        arrival: _Arrival,
        verdict: Verdict,
        reason: str | None = None,
        *,
        firing_id: UUID | None = None,
        body: bytes | None = None,
        data: dict[str, Any] | None = None,
        was_stopped: bool = False,
    ) -> None:
        is_accepted = verdict is Verdict.ACCEPTED
        rows = self._accepted if is_accepted else self._unaccepted
        if body is None and not is_accepted:
            body = arrival.delivery.body[:REFUSED_BYTES]
        rows.append(
            NewDelivery(
                arrival.hook.trigger,
                verdict,
                self._now,
                arrival.delivery.waited(),
                len(arrival.delivery.body),
                reason=reason,
                delivery_key=arrival.identity.key if arrival.identity else None,
                content_type=arrival.delivery.headers.get("content-type"),
                body=body,
                firing_id=firing_id,
                data=data,
                was_stopped=was_stopped,
            )
        )

    def _bounded(self, conn: Connection) -> list[NewDelivery]:
        """Returns as many of the unaccepted deliveries as may be kept; also audits the first refusal in a minute."""
        kinds = {(each.trigger.id, each.verdict) for each in self._unaccepted}
        counts = count_unaccepted(conn, kinds, self._now - MINUTE, KEPT_A_MINUTE)
        kept: list[NewDelivery] = []
        events: list[Event] = []
        for each in self._unaccepted:
            kind = (each.trigger.id, each.verdict)
            if counts[kind] == 0 and each.verdict in AUDITED:
                events.append(_event(each, AUDITED[each.verdict]))
            if counts[kind] < KEPT_A_MINUTE:
                kept.append(each)
                if each.was_stopped:
                    events.append(_event(each, STOPPED))
            counts[kind] += 1
        record_events(conn, events)
        return kept


def _event(delivery: NewDelivery, action: str) -> Event:
    trigger = delivery.trigger
    detail = {"reason": delivery.reason, "delivery_id": str(delivery.id)}
    return Event(action, trigger.tenant_id, trigger.id, trigger.agent_id, detail=detail)


def _unknown() -> NotFound:
    return NotFound("There is no webhook at this address, or it is disabled.")


def _difference(arrival: _Arrival, first: RecordedDelivery) -> str | None:
    """Describes how a repeated delivery differs."""
    if arrival.identity is None or arrival.identity.body_hash == first.body_hash:
        return None
    return "its body differs from that of the first one"
