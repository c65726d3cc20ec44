"""A delivery, its possible results, its identity, and its checks: signature, size, filter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from scheduler.domain.errors import PayloadTooLarge
from scheduler.domain.signatures import SignedRequest, verify
from scheduler.domain.signatures.delivery_ids import delivery_id
from scheduler.domain.webhook_body import is_packed, unpacked
from scheduler.domain.webhook_parts import Echo, kept_parts
from scheduler.intake.processor_time import AGENT_SECONDS, TENANT_SECONDS, ProcessorTime, ShareSpent
from scheduler.triggers.webhook import WebhookConfig, WebhookFilter

LONGEST_ID = 200


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
    read_at: float = field(default_factory=time.monotonic)
    """When its body had been read."""

    def waited(self) -> timedelta:
        """Returns how long ago that was."""
        return timedelta(seconds=time.monotonic() - self.read_at)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The response to an accepted delivery. It has no firing when the trigger's filter excluded it."""

    firing_id: UUID | None
    duplicate: bool = False
    filtered: bool = False
    echo: Echo | None = None
    """The response to a sender's verification of the address, which is not recorded."""


@dataclass(frozen=True, slots=True)
class FilterPending:
    """The delivery may fire if its filter passes, which must run first. Nothing is recorded yet."""

    filter: WebhookFilter
    tenant_id: UUID
    agent_id: UUID


def wrong_signature(config: WebhookConfig, delivery: Delivery, now: datetime) -> str | None:
    """Returns why the signature is invalid; None when it is valid or not required.

    For a compressed body, either form may be signed: some senders sign before they compress, some after.
    """
    if config.signature is None:
        return None
    request = SignedRequest(delivery.headers, delivery.body, delivery.url)
    verdict = verify(config.signature, request, now)
    if verdict.accepted:
        return None
    if is_packed(delivery.headers):
        with suppress(ValueError):
            plain = unpacked(delivery.headers, delivery.body)
            if verify(config.signature, replace(request, body=plain), now).accepted:
                return None
    return verdict.reason


def parts_of(config: WebhookConfig, delivery: Delivery) -> dict[str, Any] | None:
    """Returns what is kept of a delivery besides its body."""
    signed_by = config.signature.header if config.signature else None
    return kept_parts(delivery.headers, delivery.query, config.keep_headers, signed_by, redact=config.redact)


def too_large(limit: int) -> PayloadTooLarge:
    """Returns the error for a body over the limit."""
    return PayloadTooLarge(f"The body is larger than {limit} bytes.")


class Filters:
    """Runs the filters of deliveries for all threads of a process."""

    def __init__(self, agent_seconds: float = AGENT_SECONDS, tenant_seconds: float = TENANT_SECONDS) -> None:
        self._time = ProcessorTime(agent_seconds, tenant_seconds)

    def ask(self, asked: FilterPending, delivery: Delivery) -> FilterResult:
        """Runs the filter on the delivery. Waits for its turn; takes a few tens of milliseconds at most."""
        try:
            mismatch, was_stopped = self._time.use(
                asked.tenant_id, asked.agent_id, lambda: asked.filter.look(delivery.headers, delivery.body)
            )
        except ShareSpent as spent:
            rule = f"the webhook filters of this {spent.whose} have used up their processor time of a minute"
            return FilterResult(asked.filter, refusal=rule, retry_after=spent.wait)
        return FilterResult(asked.filter, mismatch, was_stopped)


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """A recorded firing of a delivery, and the hash of its body."""

    firing_id: UUID
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class OccurrenceKeys:
    """The occurrence keys under which a delivery may have been recorded.

    The first delivery gets `key`. An untrusted id does not identify a second, different body: such a delivery is
    kept under `other_key`, which includes both.
    """

    key: str
    body_hash: bytes
    other_key: str | None

    def first_of(self, recorded: Mapping[str, RecordedDelivery]) -> RecordedDelivery | None:
        """Returns the firing of the same delivery among those recorded under its keys."""
        first = recorded.get(self.key)
        if first is not None and (self.other_key is None or first.body_hash == self.body_hash):
            return first
        return recorded.get(self.other_key) if self.other_key is not None else None

    def free_key(self, recorded: Mapping[str, RecordedDelivery]) -> str:
        """Returns the key under which to record a new delivery."""
        return self.other_key if self.other_key is not None and self.key in recorded else self.key

    @property
    def keys(self) -> tuple[str, ...]:
        """Returns all keys."""
        return (self.key,) if self.other_key is None else (self.key, self.other_key)


def identify(scheme: str | None, headers: Mapping[str, str], body: bytes) -> OccurrenceKeys | None:
    """Returns the identity of a delivery among those of its trigger; None when its sender gave no id."""
    given = delivery_id(scheme, headers, body)
    if given is None:
        return None
    body_hash = sha256(body).digest()
    if len(given.value) <= LONGEST_ID and given.value.isprintable():
        kind, value = "delivery", given.value
    else:
        kind, value = "delivery-sha256", sha256(given.value.encode("utf-8", "surrogatepass")).hexdigest()
    key = f"{kind}:{given.name}:{value}"
    # The body's hash comes first in the other key, so that no id can be made equal to it.
    other = None if given.trusted else f"{kind}-of-body:{body_hash.hex()}:{given.name}:{value}"
    return OccurrenceKeys(key, body_hash, other)
