"""`check-url` as a function."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.errors import ReveilleError
from scheduler.net.policy import VARIABLE, AllowedPrivate
from scheduler.net.resolver import check_url_line


def test_a_public_answer_is_allowed_with_its_address() -> None:
    line = {"url": "https://Shop.example/x", "resolve": {"shop.EXAMPLE.": ["9.9.9.9", "2a00:1450::5"]}}
    assert check_url_line(line) == {
        "verdict": "allow",
        "address": "9.9.9.9",
        "reason": "9.9.9.9 is a public address.",
    }


def test_one_private_answer_among_public_ones_blocks() -> None:
    verdict = check_url_line({"url": "http://shop.example/", "resolve": {"shop.example": ["9.9.9.9", "10.0.0.7"]}})
    assert verdict.keys() == {"verdict", "reason"}
    assert verdict["verdict"] == "block"
    assert "10.0.0.7" in verdict["reason"]
    assert VARIABLE in verdict["reason"]


def test_no_answers_block() -> None:
    verdict = check_url_line({"url": "http://shop.example/", "resolve": {"shop.example": []}})
    assert verdict == {"verdict": "block", "reason": "shop.example does not resolve: no addresses."}


def test_a_static_rule_blocks_before_any_look_up() -> None:
    assert check_url_line({"url": "gopher://shop.example/"})["verdict"] == "block"


def test_a_host_that_is_not_listed_is_really_resolved() -> None:
    verdict = check_url_line({"url": "http://localhost:8080/"}, allow_private=AllowedPrivate.parse("localhost"))
    assert verdict["verdict"] == "allow"
    assert VARIABLE in verdict["reason"]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({}, "url"),
        ({"url": 5}, "url"),
        ({"url": "http://a.example/", "resolve": []}, "resolve"),
        ({"url": "http://a.example/", "resolve": {"a.example": "9.9.9.9"}}, "resolve.a.example"),
        ({"url": "http://a.example/", "resolve": {"a.example": [9]}}, "resolve.a.example"),
        ({"url": "http://a.example/", "resolve": {"a.example": ["nine"]}}, "resolve.a.example"),
    ],
)
def test_a_line_of_another_shape_is_an_error_with_its_field(line: dict[str, Any], field: str) -> None:
    with pytest.raises(ReveilleError) as caught:
        check_url_line(line)
    assert caught.value.field == field
    assert field in caught.value.message
