"""The ids by which senders name their deliveries: a delivery that is sent again has the same one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GENERAL = ("x-github-delivery", "webhook-id", "idempotency-key")
"""Headers that name a delivery whoever sends it."""

OWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "github": ("x-github-delivery", "x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery"),
        # X-Gitlab-Event-UUID is shared by hooks that set each other off (BESIDE), X-Gitlab-Webhook-UUID by all of one.
        "gitlab-token": ("idempotency-key", "webhook-id"),
        "shopify": ("x-shopify-webhook-id", "x-shopify-event-id"),
        "twilio": ("i-twilio-idempotency-token",),
        "generic-hmac": ("linear-delivery", "x-atlassian-webhook-identifier", "svix-id"),
        "stripe": (),
        "slack": (),
    }
)
"""Headers by which a preset's provider names a delivery, the same in each of its retries."""

IN_BODY: Mapping[str, str] = MappingProxyType({"stripe": "id", "slack": "event_id"})
"""The member of the JSON body that names the event, for providers that send no header."""

BESIDE: Mapping[str, tuple[str, ...]] = MappingProxyType({"gitlab-token": ("x-gitlab-event-uuid",)})
"""Headers that retries share with other deliveries: they count with the body alone. Older GitLabs send no other."""

IN_VENDORS_BODY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "x-notion-signature": ("id",),  # whose retries differ, for they count themselves in the body
        "typeform-signature": ("event_id",),
        "x-pagerduty-signature": ("event", "id"),
        "paddle-signature": ("event_id",),
        "x-square-hmacsha256-signature": ("event_id",),
    }
)
"""Of vendors without a preset, known by the header of their signature: the member of the JSON body, by its path."""

OTHERS = (
    "x-amz-sns-message-id",
    "ce-id",  # CloudEvents
    "x-zendesk-webhook-invocation-id",
    "x-pandadoc-webhook-event-id",
    "paypal-transmission-id",
    "x-request-uuid",  # Bitbucket
    "x-event-id",
)
"""Headers of further vendors, which others may use otherwise: they count last, and with the body alone."""

EVERYBODY = tuple(
    dict.fromkeys([*GENERAL, *(name for names in [*OWN.values(), *BESIDE.values()] for name in names), *OTHERS])
)


@dataclass(frozen=True, slots=True)
class DeliveryId:
    """What a sender calls its delivery, and where that was said.

    `trusted`: the sender is known to use an id for one delivery, so a retry may differ in its bytes. Any other id is
    only believed together with the body.
    """

    name: str
    value: str
    trusted: bool


def delivery_id(scheme: str | None, headers: Mapping[str, str], body: bytes) -> DeliveryId | None:
    """The id of a delivery to a webhook that is signed by `scheme` (None: not signed), or None.

    Names in `headers` are lower case. Where the id is itself signed (Standard Webhooks, Stripe, Slack), no header
    beside it counts: a new one would let a captured delivery be sent as another.
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
        if value and name == "x-shopify-event-id":  # one event goes to several topics
            value = f"{headers.get('x-shopify-topic', '')}:{value}"
        if value:
            return DeliveryId(name, value, trusted)
    return None


def _in_vendors_body(headers: Mapping[str, str], body: bytes, *, trusted: bool) -> DeliveryId | None:
    path = next((path for name, path in IN_VENDORS_BODY.items() if name in headers), ())
    return _in_body(body, path, trusted=trusted)


def _in_body(body: bytes, path: tuple[str, ...], *, trusted: bool) -> DeliveryId | None:
    """The text at a path of members in a JSON body; the empty path leads nowhere."""
    if not path:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for member in path:
        value = value.get(member) if isinstance(value, dict) else None
    if not isinstance(value, str) or not value.strip():
        return None
    return DeliveryId(f"body.{'.'.join(path)}", value, trusted)
