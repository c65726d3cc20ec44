"""The `reveille verify-signature` tool's function: one recorded delivery in, one verdict out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.domain.signatures import sign_standard_webhooks, verify_signature_line
from tests.support import conformance

SECRET = "whsec_YS1rZXktb2YtZXhhY3RseS0zMi1ieXRlcy1sZW5ndGg="
BODY = '{"n":1,"s":"ü"}'
LINE: dict[str, Any] = {
    "scheme": "standard-webhooks",
    "secret": SECRET,
    "headers": sign_standard_webhooks(SECRET, "msg_1", 1767225600, BODY.encode()),
    "body": BODY,
    "now": 1767225600,
    "id": "a field of no concern",
}


class _FixedClock:
    def __init__(self, unix: int) -> None:
        self._now = datetime.fromtimestamp(unix, UTC)

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return 0.0


def test_every_conformance_vector_is_decided_as_it_says() -> None:
    cases = conformance.load("webhooks/vectors.json")["cases"]
    decided = {case["id"]: verify_signature_line(case) for case in cases}
    assert len(decided) == len(cases) >= 80
    assert all(set(answer) == {"verdict", "reason"} for answer in decided.values())
    wrong = {
        case["id"]: decided[case["id"]]
        for case in cases
        if case["expect"] != "either" and decided[case["id"]]["verdict"] != case["expect"]
    }
    assert wrong == {}


def test_a_signed_line_is_accepted_as_text_and_as_base64() -> None:
    accepted = {"verdict": "accept", "reason": "signed as standard-webhooks with a known secret"}
    assert verify_signature_line(LINE) == accepted
    line = {**LINE, "body": None, "body_b64": base64.b64encode(BODY.encode()).decode()}
    assert verify_signature_line(line) == accepted


@pytest.mark.parametrize("absent", [{}, {"now": None}])
def test_without_now_the_process_clock_decides(absent: dict[str, Any]) -> None:
    line = {key: value for key, value in LINE.items() if key != "now"} | absent
    assert verify_signature_line(line, _FixedClock(1767225600))["verdict"] == "accept"
    assert verify_signature_line(line, _FixedClock(1767226600))["verdict"] == "reject"
    assert verify_signature_line(line)["verdict"] == "reject"


def test_a_replay_is_refused_although_it_is_signed() -> None:
    answer = verify_signature_line({**LINE, "replay_of": "the-first"})
    assert answer == {"verdict": "reject", "reason": "a duplicate of the-first, which was accepted before"}


def test_a_secret_no_delivery_could_pass_is_a_reject() -> None:
    answer = verify_signature_line({**LINE, "secret": "whsec_"})
    assert answer["verdict"] == "reject"
    assert answer["reason"].startswith("secret: must have a key")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"headers": None}, "headers: "),
        ({"headers": {"a": 1}}, "headers.a: "),
        ({"body": None}, "body: give one of body and body_b64"),
        ({"body_b64": "QQ=="}, "body: give one of body and body_b64"),
        ({"body": None, "body_b64": "%"}, "body: not base64"),
        ({"body": 7}, "body: "),
        ({"now": "1767225600"}, "now: "),
        ({"now": float("nan")}, "now: "),
        ({"now": -1}, "now: "),
        ({"now": 10**40}, "now: "),
        ({"url": 7}, "url: "),
        ({"params": {"a": {}}}, "params.a"),
        ({"scheme": "paper"}, "scheme: "),
        ({"secret": None}, "secret: must be a string"),
        ({"header": "X-Mine"}, "header: is only for generic-hmac"),
    ],
)
def test_a_bad_line_gets_an_error_that_names_the_field(changes: dict[str, Any], error: str) -> None:
    answer = verify_signature_line({**LINE, **changes})
    assert set(answer) == {"error"}
    assert answer["error"].startswith(error)


def test_an_empty_line_gets_an_error() -> None:
    assert verify_signature_line({}) == {"error": "headers: It is missing"}
