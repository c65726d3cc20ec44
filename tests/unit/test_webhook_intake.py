"""The pure parts of webhook intake: what identifies a delivery, the sliding minute, the filter."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.intake.webhooks.cache import MINUTE, Meter
from scheduler.intake.webhooks.deliveries import occurrence_key
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.webhook import WebhookConfig, WebhookFilter

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("name", ["x-github-delivery", "webhook-id", "idempotency-key"])
def test_each_header_names_a_delivery_of_its_own_kind(name: str) -> None:
    """The header is part of the key, so that equal ids of two senders stay two."""
    assert occurrence_key({name: " id 1 "}, None) == f"delivery:{name}:id 1"


@pytest.mark.parametrize("headers", [{}, {"webhook-id": ""}, {"idempotency-key": "  "}, {"x-request-id": "1"}])
def test_without_an_id_there_is_no_key(headers: dict[str, str]) -> None:
    """An empty id is none."""
    assert occurrence_key(headers, None) is None


def test_ids_that_are_long_or_unprintable_are_hashed() -> None:
    """A key has a bounded length, and no id can be written so that it equals the hash of another."""
    long = occurrence_key({"webhook-id": "x" * 201}, None)
    assert long is not None
    assert long.startswith("delivery-sha256:webhook-id:") and len(long) < 120
    assert long != occurrence_key({"webhook-id": "x" * 202}, None)
    forged = occurrence_key({"webhook-id": long.rsplit(":", 1)[1]}, None)
    assert forged is not None and forged != long
    assert (occurrence_key({"webhook-id": "a\x00b"}, None) or "").startswith("delivery-sha256:")


def test_where_the_id_is_signed_no_other_header_counts() -> None:
    """A captured delivery cannot be made new by a header that its signature does not cover."""
    scheme = "standard-webhooks"
    signed = {"webhook-id": "m1", "webhook-signature": "v1,x", "x-github-delivery": "new", "svix-id": "new"}
    assert occurrence_key(signed, scheme) == "delivery:webhook-id:m1"
    legacy = {"svix-id": "m1", "svix-signature": "v1,x", "webhook-id": "new", "idempotency-key": "new"}
    assert occurrence_key(legacy, f"{scheme}-ed25519") == "delivery:svix-id:m1"


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
    reason = WebhookFilter.model_validate(rule).mismatch(headers, body)
    assert (reason is None) is fires, reason


def test_a_path_that_costs_too_much_passes_the_delivery_over() -> None:
    """A stranger's body cannot hold up the intake."""
    body = b"[" + b",".join([b'"' + b"a" * 40 + b'"'] * 50) + b"]"
    reason = WebhookFilter(json_path="$[?search(@, '(a*)*b')]").mismatch({}, body)
    assert reason is not None


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
