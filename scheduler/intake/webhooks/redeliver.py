"""Replays webhook deliveries, regardless of their id, the filter and the rate limit, and records samples like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, InvalidField, NotFound, PayloadTooLarge
from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.domain.text import counted
from scheduler.firings.new_firing import LockedTrigger, NewFiring, gate, lock_triggers
from scheduler.firings.record import record_firings
from scheduler.intake.webhooks.statements import KeptDelivery, find_kept
from scheduler.storage.audit import Event, record_event, record_events
from scheduler.storage.tables.log import WebhookDelivery
from scheduler.triggers.webhook import WebhookConfig

MOST_AT_ONCE = 100
"""The most deliveries in one replay of a range."""
MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Redelivery:
    """The new firing of a replayed delivery, and the invocation that carries it."""

    delivery_id: UUID
    firing_id: UUID
    invocation_id: UUID


def redeliver(conn: Connection, tenant_id: UUID, trigger_id: UUID, delivery_id: UUID, *, actor: str) -> Redelivery:
    """Fires again with the body of one accepted or filtered delivery.

    Raises NotFound, and Conflict when the trigger may not fire or the delivery's body is not kept.
    """
    trigger = lock_open(conn, tenant_id, trigger_id)
    kept = find_kept(conn, trigger_id, WebhookDelivery.id == delivery_id)
    if not kept:
        raise NotFound(f"There is no accepted or filtered delivery {delivery_id} of this trigger.")
    if kept[0].body is None:
        raise Conflict(f"The body of delivery {delivery_id} is no longer stored.")
    return _fire(conn, trigger, kept, actor)[0]


def redeliver_range(
    conn: Connection, tenant_id: UUID, trigger_id: UUID, since: datetime, until: datetime, *, actor: str
) -> list[Redelivery]:
    """Fires again with each accepted or filtered delivery received in [since, until], oldest first; all or none.

    Raises NotFound, InvalidField for a range of more than 100, Conflict when the trigger may not fire so often.
    """
    if since > until:
        raise InvalidField("since is after until.", field="since")
    trigger = lock_open(conn, tenant_id, trigger_id)
    received = WebhookDelivery.received_at.between(since, until)
    kept = find_kept(conn, trigger_id, received, limit=MOST_AT_ONCE + 1)
    if len(kept) > MOST_AT_ONCE:
        raise InvalidField(
            f"The range contains more than {MOST_AT_ONCE} deliveries; make it shorter.", field="until"
        )
    return _fire(conn, trigger, [each for each in kept if each.body is not None], actor)


def lock_open(conn: Connection, tenant_id: UUID, trigger_id: UUID) -> LockedTrigger:
    """Locks the trigger if it may fire. Raises NotFound, or Conflict with the reason."""
    trigger = lock_triggers(conn, [trigger_id]).get(trigger_id)
    if trigger is None or trigger.tenant_id != tenant_id:
        raise NotFound(f"There is no trigger {trigger_id}.")
    closed = gate(trigger, trigger.read_at)
    if closed is not None:
        raise Conflict(f"The trigger cannot fire: {closed}.")
    return trigger


def _fire(conn: Connection, trigger: LockedTrigger, kept: Sequence[KeptDelivery], actor: str) -> list[Redelivery]:
    if trigger.max_fires is not None and trigger.fire_count + len(kept) > trigger.max_fires:
        left = trigger.max_fires - trigger.fire_count
        raise Conflict(f"The trigger may fire {counted(left, 'more time')} (max_fires), not {len(kept)}.")
    firings = {each.id: _firing(trigger, each) for each in kept}
    recorded = record_firings(conn, list(firings.values()))
    record_events(
        conn,
        [
            Event(
                "webhook.replayed",
                trigger.tenant_id,
                trigger.id,
                trigger.agent_id,
                actor,
                {"delivery_id": str(delivery_id), "firing_id": str(firing.id)},
            )
            for delivery_id, firing in firings.items()
        ],
    )
    return [
        Redelivery(delivery_id, firing.id, recorded.inserted[firing.id]) for delivery_id, firing in firings.items()
    ]


def _firing(trigger: LockedTrigger, delivery: KeptDelivery) -> NewFiring:
    firing_id = new_id()
    return NewFiring(
        trigger,
        f"redelivery:{firing_id}",
        firing_id,
        payload=delivery.body,
        content_type=delivery.content_type,
        data=delivery.data,
        trust=delivery.trust,
        ignore_cooldown=True,
        ignore_pace=True,
    )


def send_sample(
    conn: Connection, tenant_id: UUID, trigger_id: UUID, body: bytes, content_type: str, *, actor: str
) -> UUID:
    """Fires a webhook trigger with `body`; returns the id of the invocation that carries it.

    Skips signature, filter and rate limit, as the sender is known. Raises NotFound, Conflict for another kind or a
    trigger that may not fire, PayloadTooLarge.
    """
    if len(body) > MAX_BYTES:
        raise PayloadTooLarge(f"The sample has {len(body)} bytes; a delivery may have {MAX_BYTES}.")
    trigger = lock_open(conn, tenant_id, trigger_id)
    if trigger.type != WebhookConfig.kind:
        raise Conflict(f"A {trigger.type} trigger accepts no deliveries.")
    firing_id = new_id()
    firing = NewFiring(
        trigger,
        f"sample:{firing_id}",
        firing_id,
        payload=body,
        content_type=content_type,
        trust=Trust.UNAUTHENTICATED,
        ignore_cooldown=True,
    )
    recorded = record_firings(conn, [firing])
    record_event(
        conn,
        action="webhook.sampled",
        tenant_id=tenant_id,
        subject_id=trigger_id,
        agent_id=trigger.agent_id,
        actor=actor,
        firing_id=str(firing_id),
    )
    return recorded.inserted[firing_id]
