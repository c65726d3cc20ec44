"""Records a sample that a person entered, like a delivery, to show what the agent does with it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, PayloadTooLarge
from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.firings.new_firing import NewFiring
from scheduler.firings.record import record_firings
from scheduler.intake.webhooks.redeliver import lock_open
from scheduler.storage.audit import record_event
from scheduler.triggers.webhook import WebhookConfig

MAX_BYTES = 64 * 1024


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
