"""Webhook deliveries: what their senders are told, how they are listed, and their replay."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.base import Answer, Listed, Moment, Searched, SpanPage, Time, id_of, one_of
from api.schemas.triggers import TriggerPath
from scheduler.domain.shapes import Shape
from scheduler.intake.webhooks.statements import Verdict
from scheduler.storage.read_models.deliveries import REFUSED


class DeliveryOut(Answer):
    """One call of a webhook and what became of it."""

    id: UUID
    trigger_id: UUID
    received_at: Time
    verdict: str
    reason: str | None
    delivery_key: str | None
    content_type: str | None
    size: int
    firing_id: UUID | None


class DeliveryWhole(DeliveryOut):
    """A delivery with its body as text, or as base64 when it is not UTF-8; `size` is that of the whole body."""

    body: str | None = Field(
        description="Of a delivery that was neither accepted nor filtered its first 2,000 bytes."
    )
    body_base64: str | None


class DeliveryPage(Listed[DeliveryOut]):
    """A page of deliveries."""


class DeliveryQuery(SpanPage):
    """Filters a webhook's deliveries; `refused` means every verdict except `accepted`."""

    verdict: Annotated[str, one_of([REFUSED, *(each.value for each in Verdict)])] | None = None
    error: Searched | None = Field(None, description="Part of the reason, case-insensitive.")


class DeliveryPath(TriggerPath):
    """One delivery of one trigger."""

    delivery_id: Annotated[UUID, id_of("delivery")]


class DeliveryRange(Shape):
    """The deliveries received from `since` to `until`, both included; at most 100."""

    since: Moment
    until: Moment


class RedeliveredOut(Answer):
    """The new firing of a replayed delivery, and the invocation that will carry it."""

    delivery_id: UUID
    firing_id: UUID
    invocation_id: UUID


class RedeliveredListOut(Answer):
    """The replayed deliveries, oldest first."""

    items: list[RedeliveredOut]


class HookPath(Shape):
    """Identifies a webhook by its token."""

    token: str = Field(description="The last segment of a hook_url.")


class ReceiptOut(Answer):
    """The outcome of a delivery."""

    firing_id: UUID | None = Field(description="Its firing; for a duplicate the first one's, null when filtered.")
    duplicate: bool = Field(description="It was received before, and fired then.")
    filtered: bool = Field(False, description="The trigger's filter excluded it; only present when true.")


class HookOut(Answer):
    """A webhook that accepts deliveries."""

    ok: bool
