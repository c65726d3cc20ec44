"""Finds the id with which a sender identifies a delivery; a repeated delivery has the same id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any

GENERAL = ("x-github-delivery", "webhook-id", "idempotency-key")
"""Headers that identify a delivery from any sender."""

OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "github": ("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery"),
        # X-Gitlab-Event-UUID is shared by hooks that trigger each other (BESIDE), X-Gitlab-Webhook-UUID by all
        # deliveries of one hook.
        "gitlab-token": ("idempotency-key", "webhook-id"),
        "shopify": ("x-shopify-webhook-id", "x-shopify-event-id"),
        "twilio": ("i-twilio-idempotency-token",),
        "generic-hmac": ("linear-delivery", "x-atlassian-webhook-identifier", "svix-id"),
        "stripe": (),
        "slack": (),
    }
)
"""Headers in which a preset's provider identifies a delivery, identical in each retry."""

IN_BODY: Mapping[str, str] = MappingProxyType({"stripe": "id", "slack": "event_id"})
"""The member of the JSON body that identifies the event, for providers that send no header."""

BESIDE: Mapping[str, tuple[str, ...]] = MappingProxyType({"gitlab-token": ("x-gitlab-event-uuid",)})
"""Headers that retries share with other deliveries: they only count together with the body.

Older GitLabs send no other.
"""


@dataclass(frozen=True, slots=True)
class BodyId:
    """Where a vendor without a preset identifies a delivery in its JSON body, as paths of members.

    `begins`: the prefix of such an id, if others use the same header. `of_each`: the body is a list of events,
    whose ids together identify the delivery. `counts`: the members that count retries.
    """

    path: tuple[str, ...]
    begins: str = ""
    of_each: bool = False
    counts: tuple[str, ...] = ()


IN_VENDORS_BODY: Mapping[str, BodyId] = MappingProxyType(
    {
        "x-notion-signature": BodyId(("id",), counts=("attempt_number",)),
        "typeform-signature": BodyId(("event_id",)),
        "x-pagerduty-signature": BodyId(("event", "id")),
        "paddle-signature": BodyId(("event_id",)),
        "x-square-hmacsha256-signature": BodyId(("event_id",)),
        # Intercom's, which signs with the header that GitHub used first.
        "x-hub-signature": BodyId(
            ("id",),
            begins="notif_",
            counts=("delivery_attempts", "delivery_status", "delivered_at", "first_sent_at"),
        ),
        # HubSpot's, which may reuse an id: it only counts together with the rest.
        "x-hubspot-signature": BodyId(("eventId",), of_each=True, counts=("attemptNumber",)),
        "x-hubspot-signature-v3": BodyId(("eventId",), of_each=True, counts=("attemptNumber",)),
        # SendGrid's.
        "x-twilio-email-event-webhook-signature": BodyId(("sg_event_id",), of_each=True),
    }
)
"""Vendors without a preset, recognized by their signature header."""

OTHERS = (
    "x-amz-sns-message-id",
    "ce-id",  # CloudEvents
    "x-zendesk-webhook-invocation-id",
    "x-pandadoc-webhook-event-id",
    "paypal-transmission-id",
    "x-request-uuid",  # Bitbucket
    "x-event-id",
)
"""Headers of other vendors, which senders may use differently: they are tried last and only together with the
body.
"""

EVERYBODY = tuple(
    dict.fromkeys([*GENERAL, *(name for names in [*OWN.values(), *BESIDE.values()] for name in names), *OTHERS])
)


@dataclass(frozen=True, slots=True)
class DeliveryId:
    """A sender's id for a delivery and where it was found.

    `trusted`: the sender is known to use each id for one delivery, so a retry may differ in its bytes. Any other
    id only counts together with the body.
    """

    name: str
    value: str
    trusted: bool


def delivery_id(scheme: str | None, headers: Mapping[str, str], body: bytes) -> DeliveryId | None:
    """Returns the id of a delivery signed with `scheme` (None: not signed), or None.

    Names in `headers` are lower case. When the id itself is signed (Standard Webhooks, Stripe, Slack), other
    headers are ignored: a changed one would let a captured delivery be replayed as new.
    """
    if scheme is None:
        return _in_vendors_body(headers, body, trusted=False) or _in_headers(headers, EVERYBODY, trusted=False)
    if scheme.startswith("standard-webhooks"):
        names = ("webhook-id",) if "webhook-signature" in headers else ("svix-id",)
        return _in_headers(headers, names, trusted=True)
    own = (IN_BODY[scheme],) if scheme in IN_BODY else ()
    return (
        _in_body(body, own, trusted=True)
        or _in_headers(headers, OWN.get(scheme, ()), trusted=True)
        or _in_vendors_body(headers, body, trusted=scheme == "generic-hmac")
        or _in_headers(headers, GENERAL + BESIDE.get(scheme, ()) + OTHERS, trusted=False)
    )


def _in_headers(headers: Mapping[str, str], names: tuple[str, ...], *, trusted: bool) -> DeliveryId | None:
    for name in names:
        value = headers.get(name, "").strip()
        if value and name == "x-shopify-event-id":  # one event may be sent to several topics
            value = f"{headers.get('x-shopify-topic', '')}:{value}"
        if value:
            return DeliveryId(name, value, trusted)
    return None


def _in_vendors_body(headers: Mapping[str, str], body: bytes, *, trusted: bool) -> DeliveryId | None:
    vendor = next((vendor for name, vendor in IN_VENDORS_BODY.items() if name in headers), None)
    document = _document(body) if vendor else None
    value = _named(document, vendor) if vendor else None
    if vendor is None or value is None:
        return None
    name = f"body.{'.'.join(vendor.path)}"
    trusted = trusted and not vendor.of_each
    if trusted or not vendor.counts:
        return DeliveryId(name, value, trusted)
    # What stays the same in retries is part of the id, so that no other body can be mistaken for it.
    return DeliveryId(f"{name}-of-rest", f"{_hash_of_rest(document, vendor)}:{value}", trusted=True)


def _named(document: Any, vendor: BodyId) -> str | None:
    """Returns the id of a delivery, or those of its events."""
    events = document if vendor.of_each and isinstance(document, list) else [document]
    found = [_at(event, vendor.path, numbers=True) for event in events]
    ids = [each for each in found if each is not None and each.startswith(vendor.begins)]
    return ",".join(ids) if ids and len(ids) == len(found) else None


def _hash_of_rest(document: Any, vendor: BodyId) -> str:
    """Returns a hash of the body without the members that count retries."""
    events = document if isinstance(document, list) else [document]
    rest = [{name: value for name, value in event.items() if name not in vendor.counts} for event in events]
    return sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _in_body(body: bytes, path: tuple[str, ...], *, trusted: bool) -> DeliveryId | None:
    """Returns the text at a path in a JSON body; an empty path finds nothing."""
    value = _at(_document(body), path) if path else None
    return None if value is None else DeliveryId(f"body.{'.'.join(path)}", value, trusted)


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _at(document: Any, path: tuple[str, ...], *, numbers: bool = False) -> str | None:
    """Returns the text at a path, converting an integer."""
    value = document
    for member in path:
        value = value.get(member) if isinstance(value, dict) else None
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None
