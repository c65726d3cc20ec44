"""A delivery on its way through intake, and the answers to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from scheduler.domain.webhook_parts import Echo
from scheduler.triggers.webhook import WebhookFilter


@dataclass(frozen=True, slots=True)
class FilterResult:
    """What a filter made of a delivery, outside the transaction that records it."""

    filter: WebhookFilter
    mismatch: str | None = None
    """Why the delivery does not fire; None when it does."""
    was_stopped: bool = False
    """The filter took too long."""
    refusal: str | None = None
    """Why the filter was not asked: those of its agent or tenant have used up what they may."""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A call of a webhook as it came in. Names in `headers` are lower case; `url` is the public one it called."""

    token_hash: bytes
    headers: Mapping[str, str]
    body: bytes
    url: str | None = None
    query: str = ""
    filtered: FilterResult | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a delivery that was taken; it made no firing when the trigger's filter passed it over."""

    firing_id: UUID | None
    duplicate: bool = False
    filtered: bool = False
    echo: Echo | None = None
    """What a sender that tests the address is answered; nothing is recorded of that."""


@dataclass(frozen=True, slots=True)
class FilterFirst:
    """The answer to a delivery that may fire, if only its filter says so; nothing is recorded of it yet."""

    filter: WebhookFilter
    tenant_id: UUID
    agent_id: UUID
