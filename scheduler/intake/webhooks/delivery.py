"""Data types for a delivery and its possible results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from scheduler.domain.webhook_parts import Echo
from scheduler.triggers.webhook import WebhookFilter


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The result of a filter, computed outside the recording transaction."""

    filter: WebhookFilter
    mismatch: str | None = None
    """Why the delivery does not fire; None when it does."""
    was_stopped: bool = False
    """Whether the filter took too long."""
    refusal: str | None = None
    """Why the filter was not run: its agent or tenant has used up its processor time."""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A received webhook call. Names in `headers` are lower case; `url` is the public one it called."""

    token_hash: bytes
    headers: Mapping[str, str]
    body: bytes
    url: str | None = None
    query: str = ""
    filtered: FilterResult | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The response to an accepted delivery. It has no firing when the trigger's filter excluded it."""

    firing_id: UUID | None
    duplicate: bool = False
    filtered: bool = False
    echo: Echo | None = None
    """The response to a sender's verification of the address, which is not recorded."""


@dataclass(frozen=True, slots=True)
class FilterFirst:
    """The delivery may fire if its filter passes, which must run first. Nothing is recorded yet."""

    filter: WebhookFilter
    tenant_id: UUID
    agent_id: UUID
