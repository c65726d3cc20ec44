"""The identity of a webhook delivery."""

from __future__ import annotations

from uuid import uuid4

import pytest

from scheduler.domain.signatures.config import PRESETS
from scheduler.domain.signatures.delivery_ids import OTHERS, OWN
from scheduler.intake.webhooks.delivery import RecordedDelivery, identify


@pytest.mark.parametrize(
    ("scheme", "name"),
    [
        *[(None, name) for name in ("x-github-delivery", "webhook-id", "idempotency-key", "svix-id")],
        *[("generic-hmac", name) for name in ("linear-delivery", "idempotency-key", "webhook-id")],
        ("github", "x-github-delivery"),
        ("github", "x-gitea-delivery"),
        ("gitlab-token", "idempotency-key"),
        ("gitlab-token", "webhook-id"),
        ("shopify", "x-shopify-webhook-id"),
        ("twilio", "i-twilio-idempotency-token"),
        ("stripe", "idempotency-key"),
        ("slack", "idempotency-key"),
    ],
)
def test_each_header_names_a_delivery_of_its_own_kind(scheme: str | None, name: str) -> None:
    """The header is part of the key, so that equal ids of two senders stay different."""
    assert key_of({name: " id 1 "}, scheme) == f"delivery:{name}:id 1"


def test_a_provider_that_sends_no_header_names_its_event_in_the_body() -> None:
    """Stripe and Slack sign it; no other header counts."""
    beside = {"idempotency-key": "new"}
    assert key_of(beside, "stripe", b'{"id": "evt_1"}') == "delivery:body.id:evt_1"
    assert key_of(beside, "slack", b'{"event_id": "Ev1"}') == "delivery:body.event_id:Ev1"
    for body in (b"", b"{", b"[1]", b'{"id": 7}', b'{"id": ""}', b"[" * 9999):
        assert key_of(beside, "stripe", body) == "delivery:idempotency-key:new"
        assert key_of({}, "stripe", body) is None


@pytest.mark.parametrize(
    ("signature", "body", "name"),
    [
        ("typeform-signature", b'{"event_id": "e1"}', "body.event_id"),
        ("x-pagerduty-signature", b'{"event": {"id": "e1"}}', "body.event.id"),
        ("paddle-signature", b'{"event_id": "e1"}', "body.event_id"),
        ("x-square-hmacsha256-signature", b'{"event_id": "e1"}', "body.event_id"),
    ],
)
def test_a_vendor_without_a_preset_names_its_event_in_the_body(signature: str, body: bytes, name: str) -> None:
    """If signed, the id alone counts, because a retry may contain its own number; otherwise the id together with
    the body.
    """
    signed = identify("generic-hmac", {signature: "s"}, body)
    unsigned = identify(None, {signature: "s", "idempotency-key": "k"}, body)
    assert signed is not None and unsigned is not None
    assert (signed.keys, unsigned.key) == ((f"delivery:{name}:e1",), f"delivery:{name}:e1")
    assert len(unsigned.keys) == 2
    for other in (b'{"event": 1}', b"[]", b"{"):
        assert identify("generic-hmac", {signature: "s"}, other) is None
    assert key_of({}, "generic-hmac", body) is None


@pytest.mark.parametrize(
    ("signature", "body", "retry", "other"),
    [
        (
            "x-notion-signature",
            b'{"id": "e1", "data": 1, "attempt_number": 1}',
            b'{"id": "e1", "data": 1, "attempt_number": 2}',
            b'{"id": "e1", "data": 2, "attempt_number": 1}',
        ),
        (
            "x-hub-signature",
            b'{"id": "notif_1", "topic": "a", "delivery_attempts": 1, "first_sent_at": 5}',
            b'{"topic": "a", "id": "notif_1", "delivery_attempts": 2, "first_sent_at": 5, "delivered_at": 9}',
            b'{"id": "notif_1", "topic": "b", "delivery_attempts": 1}',
        ),
        (
            "x-hubspot-signature-v3",
            b'[{"eventId": 1, "objectId": 7, "attemptNumber": 0}, {"eventId": 2, "attemptNumber": 0}]',
            b'[{"eventId": 1, "objectId": 7, "attemptNumber": 1}, {"eventId": 2, "attemptNumber": 1}]',
            b'[{"eventId": 1, "objectId": 8, "attemptNumber": 0}, {"eventId": 2, "attemptNumber": 0}]',
        ),
    ],
)
def test_a_retry_that_counts_itself_in_its_body_is_the_same_delivery(
    signature: str, body: bytes, retry: bytes, other: bytes
) -> None:
    """If not signed, everything else must be the same; if signed, the id is enough, unless the vendor reuses ids."""
    assert key_of({signature: "s"}, None, body) == key_of({signature: "t"}, None, retry)
    assert key_of({signature: "s"}, None, body) not in (None, key_of({signature: "s"}, None, other))
    signed = {each: key_of({signature: "s"}, "generic-hmac", each) for each in (body, retry, other)}
    assert signed[body] == signed[retry]
    assert (signed[body] == signed[other]) == (signature != "x-hubspot-signature-v3")


def test_a_batch_is_named_by_all_of_its_events() -> None:
    """The key includes the body, since anyone could have written it; a batch in which one event has no id has no
    key.
    """
    header = {"x-twilio-email-event-webhook-signature": "s"}
    named = identify(None, header, b'[{"sg_event_id": "a"}, {"sg_event_id": "b"}]')
    assert named is not None
    assert (named.key, len(named.keys)) == ("delivery:body.sg_event_id:a,b", 2)
    for body in (b"[]", b'[{"sg_event_id": "a"}, {}]', b'[{"sg_event_id": "a"}, 1]', b'{"sg_event_id": null}'):
        assert identify(None, header, body) is None


def test_anything_but_a_notification_of_intercom_goes_by_its_headers() -> None:
    """The header of its signature is GitHub's old one."""
    headers = {"x-hub-signature": "sha1=0", "x-github-delivery": "d1"}
    for body in (b'{"id": 1}', b'{"id": "evt_1"}', b"[1]", b"no JSON"):
        assert key_of(headers, None, body) == "delivery:x-github-delivery:d1"
        assert key_of({"x-hub-signature": "sha1=0"}, "generic-hmac", body) is None


@pytest.mark.parametrize("scheme", [None, "github", "generic-hmac"])
@pytest.mark.parametrize("name", OTHERS)
def test_headers_of_further_vendors_count_last_and_with_the_body(scheme: str | None, name: str) -> None:
    found = identify(scheme, {name: "1"}, b"a")
    assert found is not None
    assert (found.key, len(found.keys)) == (f"delivery:{name}:1", 2)
    assert key_of({name: "1", "webhook-id": "2"}, scheme) == "delivery:webhook-id:2"


def test_a_shopify_event_of_two_topics_is_two_deliveries() -> None:
    """If the delivery itself has no id, event and topic together identify it."""
    event = {"x-shopify-event-id": "e1", "x-shopify-topic": "orders/create"}
    assert key_of(event, "shopify") != key_of(event | {"x-shopify-topic": "orders/paid"}, "shopify")
    assert key_of(event | {"x-shopify-webhook-id": "w1"}, "shopify") == "delivery:x-shopify-webhook-id:w1"


def test_an_older_gitlab_names_its_event_alone() -> None:
    """Hooks that trigger each other share that id, so it counts only with the body, and after every other id."""
    event = {"x-gitlab-event-uuid": "e1"}
    first, other = (identify("gitlab-token", event, body) for body in (b"a", b"b"))
    assert first is not None and other is not None
    assert (first.key, first.free_key({})) == ("delivery:x-gitlab-event-uuid:e1", first.key)
    assert other.first_of({first.key: RecordedDelivery(uuid4(), first.body_hash)}) is None
    assert key_of(event | {"idempotency-key": "1"}, "gitlab-token") == "delivery:idempotency-key:1"


def test_every_preset_says_how_its_deliveries_are_named() -> None:
    """This test fails if a new preset forgets to say."""
    assert {*OWN, "standard-webhooks", "standard-webhooks-ed25519"} == {*PRESETS}


def test_an_id_that_anybody_can_write_is_believed_with_its_body_alone() -> None:
    """The first sender takes the id; another body with it is another delivery, with its own duplicates."""
    first, other = (identify(None, {"webhook-id": "1"}, body) for body in (b"a", b"b"))
    assert first is not None and other is not None
    recorded = {first.free_key({}): RecordedDelivery(uuid4(), first.body_hash)}
    assert first.first_of(recorded) == recorded[first.key]
    assert other.first_of(recorded) is None
    recorded[other.free_key(recorded)] = second = RecordedDelivery(uuid4(), other.body_hash)
    assert (first.first_of(recorded), other.first_of(recorded)) == (recorded[first.key], second)
    signed = identify("github", {"x-github-delivery": "1"}, b"b")
    assert signed is not None and signed.keys == (signed.key,)


@pytest.mark.parametrize("headers", [{}, {"webhook-id": ""}, {"idempotency-key": "  "}, {"x-request-id": "1"}])
def test_without_an_id_there_is_no_key(headers: dict[str, str]) -> None:
    """An empty id counts as none."""
    assert identify(None, headers, b"") is None


def test_ids_that_are_long_or_unprintable_are_hashed() -> None:
    """A key has a limited length, and no id can be written so that it equals the hash of another."""
    long = key_of({"webhook-id": "x" * 201}, None)
    assert long is not None
    assert long.startswith("delivery-sha256:webhook-id:") and len(long) < 120
    assert long != key_of({"webhook-id": "x" * 202}, None)
    forged = key_of({"webhook-id": long.rsplit(":", 1)[1]}, None)
    assert forged is not None and forged != long
    assert (key_of({"webhook-id": "a\x00b"}, None) or "").startswith("delivery-sha256:")


def test_where_the_id_is_signed_no_other_header_counts() -> None:
    """A captured delivery cannot be made new by a header that its signature does not cover."""
    scheme = "standard-webhooks"
    signed = {"webhook-id": "m1", "webhook-signature": "v1,x", "x-github-delivery": "new", "svix-id": "new"}
    assert key_of(signed, scheme) == "delivery:webhook-id:m1"
    legacy = {"svix-id": "m1", "svix-signature": "v1,x", "webhook-id": "new", "idempotency-key": "new"}
    assert key_of(legacy, f"{scheme}-ed25519") == "delivery:svix-id:m1"


def key_of(headers: dict[str, str], scheme: str | None, body: bytes = b"") -> str | None:
    """Returns the key of the first delivery with its id."""
    found = identify(scheme, headers, body)
    return None if found is None else found.key
