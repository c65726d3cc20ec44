"""The pure parts of webhook intake: what identifies a delivery, the sliding minute, the filter."""

from __future__ import annotations

import gzip
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import Any
from uuid import uuid4

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.domain.signatures.delivery_ids import OTHERS, OWN
from scheduler.domain.signatures.registry import PRESETS
from scheduler.domain.webhook_body import readable
from scheduler.intake.webhooks.cache import MINUTE, Meter
from scheduler.intake.webhooks.identity import Recorded, identify
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.webhook import FILTER_SECONDS, WebhookConfig, WebhookFilter

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


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
    """The header is part of the key, so that equal ids of two senders stay two."""
    assert key_of({name: " id 1 "}, scheme) == f"delivery:{name}:id 1"


def test_a_provider_that_sends_no_header_names_its_event_in_the_body() -> None:
    """Stripe and Slack sign it; no header beside it counts."""
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
    """Signed, the id alone counts, for a retry may count itself; not signed, with the body."""
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
    """Not signed, all the rest has to be the same; signed, the id is enough, but where a vendor uses it again."""
    assert key_of({signature: "s"}, None, body) == key_of({signature: "t"}, None, retry)
    assert key_of({signature: "s"}, None, body) not in (None, key_of({signature: "s"}, None, other))
    signed = {each: key_of({signature: "s"}, "generic-hmac", each) for each in (body, retry, other)}
    assert signed[body] == signed[retry]
    assert (signed[body] == signed[other]) == (signature != "x-hubspot-signature-v3")


def test_a_batch_is_named_by_all_of_its_events() -> None:
    """With the body, as anybody could have written it; a batch of which one has no id has none."""
    header = {"x-twilio-email-event-webhook-signature": "s"}
    named = identify(None, header, b'[{"sg_event_id": "a"}, {"sg_event_id": "b"}]')
    assert named is not None
    assert (named.key, len(named.keys)) == ("delivery:body.sg_event_id:a,b", 2)
    for body in (b"[]", b'[{"sg_event_id": "a"}, {}]', b'[{"sg_event_id": "a"}, 1]', b'{"sg_event_id": null}'):
        assert identify(None, header, body) is None


def test_what_is_no_notification_of_intercom_goes_by_its_headers() -> None:
    """The header of its signature is GitHub's of old."""
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
    """Where the delivery itself has no id, event and topic together are one."""
    event = {"x-shopify-event-id": "e1", "x-shopify-topic": "orders/create"}
    assert key_of(event, "shopify") != key_of(event | {"x-shopify-topic": "orders/paid"}, "shopify")
    assert key_of(event | {"x-shopify-webhook-id": "w1"}, "shopify") == "delivery:x-shopify-webhook-id:w1"


def test_an_older_gitlab_names_its_event_alone() -> None:
    """Hooks that set each other off share that id, so that it counts with the body, and behind every other one."""
    event = {"x-gitlab-event-uuid": "e1"}
    first, other = (identify("gitlab-token", event, body) for body in (b"a", b"b"))
    assert first is not None and other is not None
    assert (first.key, first.free_key({})) == ("delivery:x-gitlab-event-uuid:e1", first.key)
    assert other.first_of({first.key: Recorded(uuid4(), first.body_hash)}) is None
    assert key_of(event | {"idempotency-key": "1"}, "gitlab-token") == "delivery:idempotency-key:1"


def test_every_preset_says_how_its_deliveries_are_named() -> None:
    """A new preset cannot be forgotten here."""
    assert {*OWN, "standard-webhooks", "standard-webhooks-ed25519"} == {*PRESETS}


def test_an_id_that_anybody_can_write_is_believed_with_its_body_alone() -> None:
    """The first comer takes the id; another body under it is another delivery, and is its own duplicate."""
    first, other = (identify(None, {"webhook-id": "1"}, body) for body in (b"a", b"b"))
    assert first is not None and other is not None
    recorded = {first.free_key({}): Recorded(uuid4(), first.body_hash)}
    assert first.first_of(recorded) == recorded[first.key]
    assert other.first_of(recorded) is None
    recorded[other.free_key(recorded)] = second = Recorded(uuid4(), other.body_hash)
    assert (first.first_of(recorded), other.first_of(recorded)) == (recorded[first.key], second)
    signed = identify("github", {"x-github-delivery": "1"}, b"b")
    assert signed is not None and signed.keys == (signed.key,)


@pytest.mark.parametrize("headers", [{}, {"webhook-id": ""}, {"idempotency-key": "  "}, {"x-request-id": "1"}])
def test_without_an_id_there_is_no_key(headers: dict[str, str]) -> None:
    """An empty id is none."""
    assert identify(None, headers, b"") is None


def test_ids_that_are_long_or_unprintable_are_hashed() -> None:
    """A key has a bounded length, and no id can be written so that it equals the hash of another."""
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


def test_a_meter_refuses_what_is_over_its_limit_until_the_oldest_leaves() -> None:
    """Three in the minute before, a limit of five: two more, then a wait for the oldest."""
    meter = Meter(5, deque(NOW - each * SECOND for each in (50, 30, 10)))
    for _ in range(2):
        assert meter.wait(NOW) is None
        meter.taken += 1
    assert meter.wait(NOW) == 10 * SECOND


def test_a_meter_whose_limit_was_lowered_waits_for_enough_to_leave() -> None:
    """With three in the minute and a limit of one, all three have to go."""
    meter = Meter(1, deque(NOW - each * SECOND for each in (50, 30, 10)))
    assert meter.wait(NOW) == 50 * SECOND


@pytest.mark.parametrize(("limit", "taken"), [(0, 0), (2, 2)])
def test_a_meter_filled_by_what_came_now_waits_a_whole_minute(limit: int, taken: int) -> None:
    """Also with a limit of 0, which takes nothing."""
    assert Meter(limit, deque(), taken).wait(NOW) == MINUTE


@pytest.mark.parametrize(
    ("rule", "headers", "body", "fires"),
    [
        ({"json_path": "$.issue"}, {}, b'{"issue": null}', True),
        ({"json_path": "$.issue"}, {}, b'{"pull_request": 1}', False),
        ({"json_path": "$[?@.action == 'opened']"}, {}, b'[{"action": "opened"}]', True),
        ({"json_path": "$"}, {}, b"not JSON", False),
        ({"json_path": "$"}, {}, b"\xff\xfe", False),
        ({"json_path": "$"}, {}, b"", False),
        ({"json_path": "$"}, {}, b"[" * 60_000, False),
        ({"header": "X-GitHub-Event", "equals": "issues"}, {"x-github-event": "issues"}, b"\xff", True),
        ({"header": "X-GitHub-Event", "equals": "issues"}, {"x-github-event": "Issues"}, b"", False),
        ({"header": "X-GitHub-Event", "equals": "issues"}, {}, b"", False),
        ({"header": "a", "equals": "1", "json_path": "$.x"}, {"a": "1"}, b'{"x": 0}', True),
        ({"header": "a", "equals": "1", "json_path": "$.x"}, {"a": "2"}, b'{"x": 0}', False),
        ({"header": "a", "equals": "1", "json_path": "$.x"}, {"a": "1"}, b"{}", False),
    ],
)
def test_a_filter_lets_fire_what_meets_all_of_its_rules(
    rule: dict[str, str], headers: dict[str, str], body: bytes, fires: bool
) -> None:
    """A path needs one node at least, a header its very value; what is passed over says why."""
    reason = WebhookFilter.model_validate(rule).look(headers, body)[0]
    assert (reason is None) is fires, reason


def test_a_path_that_costs_too_much_passes_the_delivery_over() -> None:
    """A stranger's body cannot hold up the intake: it is stopped after some tens of milliseconds of processor time."""
    many = b"[" + b",".join([b'"' + b"a" * 40 + b'b"'] * 50) + b"]"
    nested = json.dumps([{"k": [{"z": [1, 2, {"q": [3, {"r": 4}]}]}] * 6}] * 210).encode()
    for path, body in (
        ("$[?match(@, '(a|aa)+')]", many),
        ("$..[?count(@..*)==77]", nested),
        ("$..[?@ == $]", nested),
        ("$..[?count($..*)==0]", nested),
        ("$[?$ == $]", b"[" + b",".join([nested[1:-1]] * 20) + b"]"),
    ):
        began = thread_time()
        reason, was_stopped = WebhookFilter(json_path=path).look({}, body)
        assert (reason is not None, was_stopped) == (True, True), path
        assert thread_time() - began < 10 * FILTER_SECONDS  # reading 1 MiB of JSON is part of it


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({}, "config.filter"),
        ({"header": "X-Event"}, "config.filter"),
        ({"equals": "x"}, "config.filter"),
        ({"header": "two words", "equals": "x"}, "config.filter.header"),
        ({"json_path": "$["}, "config.filter.json_path"),
        ({"json_path": 5}, "config.filter.json_path"),
        ({"jsonpath": "$"}, "config.filter.jsonpath"),
        ("$.x", "config.filter"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(rule: object, field: str) -> None:
    """The error names the field below config.filter."""
    with pytest.raises(InvalidField) as caught:
        parse_config(WebhookConfig, {"filter": rule}, CheckContext(NOW))
    assert caught.value.field == field


def key_of(headers: dict[str, str], scheme: str | None, body: bytes = b"") -> str | None:
    """The key of the first delivery of its id."""
    found = identify(scheme, headers, body)
    return None if found is None else found.key


@pytest.mark.parametrize(
    ("body", "parts", "read"),
    [
        (gzip.compress(b"hello", mtime=0), {"headers": {"Content-Encoding": "gzip"}}, b"hello"),
        (b"broken", {"headers": {"Content-Encoding": "gzip"}}, b"broken"),
        (b"plain", {"headers": {"X-Event": "e"}, "query": "a"}, b"plain"),
        (b"plain", {"messages": []}, b"plain"),
        (b"plain", None, b"plain"),
        (None, {"headers": {"Content-Encoding": "gzip"}}, None),
    ],
)
def test_an_agent_reads_a_packed_payload_unpacked(
    body: bytes | None, parts: dict[str, Any] | None, read: bytes | None
) -> None:
    """What cannot be unpacked is shown as it came."""
    assert readable(body, parts) == read
