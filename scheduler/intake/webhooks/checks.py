"""Checks a delivery against its webhook's config: signature, size, filter."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from scheduler.domain.errors import PayloadTooLarge
from scheduler.domain.signatures import SignedRequest, verify
from scheduler.domain.webhook_body import is_packed, unpacked
from scheduler.domain.webhook_parts import kept_parts
from scheduler.intake.processor_time import AGENT_SECONDS, TENANT_SECONDS, ProcessorTime, Spent
from scheduler.intake.webhooks.delivery import Delivery, FilterFirst, FilterResult
from scheduler.triggers.webhook import WebhookConfig


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

    def ask(self, asked: FilterFirst, delivery: Delivery) -> FilterResult:
        """Runs the filter on the delivery. Waits for its turn; takes a few tens of milliseconds at most."""
        try:
            mismatch, was_stopped = self._time.use(
                asked.tenant_id, asked.agent_id, lambda: asked.filter.look(delivery.headers, delivery.body)
            )
        except Spent as spent:
            rule = f"the webhook filters of this {spent.whose} have used up their processor time of a minute"
            return FilterResult(asked.filter, refusal=rule, retry_after=spent.wait)
        return FilterResult(asked.filter, mismatch, was_stopped)
