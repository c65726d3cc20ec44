"""The pure parts of webhook intake: the rate limit and the filter."""

from __future__ import annotations

import gzip
import json
from collections import deque
from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import Any

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.domain.webhook_body import readable
from scheduler.intake.webhooks.cache import MINUTE, RateWindow
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.webhook import FILTER_SECONDS, WebhookConfig, WebhookFilter

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_meter_refuses_what_is_over_its_limit_until_the_oldest_leaves() -> None:
    """Three in the last minute, a limit of five: two more are accepted, then the sender waits for the oldest to
    expire.
    """
    meter = RateWindow(5, deque(NOW - each * SECOND for each in (50, 30, 10)))
    for _ in range(2):
        assert meter.wait(NOW) is None
        meter.taken += 1
    assert meter.wait(NOW) == 10 * SECOND


def test_a_meter_whose_limit_was_lowered_waits_for_enough_to_leave() -> None:
    """With three in the minute and a limit of one, all three have to expire."""
    meter = RateWindow(1, deque(NOW - each * SECOND for each in (50, 30, 10)))
    assert meter.wait(NOW) == 50 * SECOND


@pytest.mark.parametrize(("limit", "taken"), [(0, 0), (2, 2)])
def test_a_meter_filled_by_what_came_now_waits_a_whole_minute(limit: int, taken: int) -> None:
    """Also with a limit of 0, which accepts nothing."""
    assert RateWindow(limit, deque(), taken).wait(NOW) == MINUTE


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
    """A path must match at least one node, a header its exact value; what is filtered says why."""
    reason = WebhookFilter.model_validate(rule).look(headers, body)[0]
    assert (reason is None) is fires, reason


def test_a_path_that_costs_too_much_passes_the_delivery_over() -> None:
    """A stranger's body cannot hold up intake: the filter is stopped after some tens of milliseconds of processor
    time.
    """
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
        assert thread_time() - began < 10 * FILTER_SECONDS  # this includes reading 1 MiB of JSON


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
def test_an_invalid_filter_is_refused(rule: object, field: str) -> None:
    """The error names the field below config.filter."""
    with pytest.raises(InvalidField) as caught:
        parse_config(WebhookConfig, {"filter": rule}, CheckContext(NOW))
    assert caught.value.field == field


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
    """A payload that cannot be decompressed is shown as it arrived."""
    assert readable(body, parts) == read
