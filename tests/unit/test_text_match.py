"""User-supplied substrings and regular expressions, applied to text from strangers."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError

from scheduler.domain.bounded_regex import TextDecision, TextMatch


def _match(text: str, **config: object) -> TextDecision:
    return TextMatch.model_validate(config).matches(text)


@pytest.mark.parametrize(
    ("config", "text", "matched"),
    [
        ({"contains": "deploy"}, "please deploy now", True),
        ({"contains": "deploy"}, "Deploy", False),
        ({"contains": "STRASSE", "ignore_case": True}, "straße", True),
        ({"contains": "a.b"}, "axb", False),
        ({"contains": "\x00"}, "a\x00b", True),
        ({"contains": "部署"}, "请部署", True),
        ({"regex": r"^\w+ \d{2,}$"}, "order 4711", True),
        ({"regex": r"^\w+ \d{2,}$"}, "order 4", False),
        ({"regex": r"(?i)ORDER"}, "order", True),
        ({"regex": "ORDER", "ignore_case": True}, "order", True),
        ({"regex": "ORDER"}, "order", False),
        ({"regex": r"\p{Lu}"}, "aÄ", True),
        ({"regex": r"[{}]\{"}, "}{", True),
        ({"regex": "(a|b(?=c)|(?<!d)e)+f"}, "ef", True),
        ({"regex": "x" * 1000}, "x" * 1000, True),
        ({"contains": "on call"}, "who is on\u00a0call?", True),
        ({"contains": "on\u00a0call"}, "who is on call?", True),
        ({"contains": "10\u202f000"}, "10 000 items", True),
        ({"contains": "café"}, "cafe\u0301", True),
        ({"contains": "CAFE\u0301", "ignore_case": True}, "café", True),
        ({"contains": "cafe"}, "café", False),
        ({"regex": "^caf[é]$"}, "cafe\u0301", True),
        ({"regex": "^cafe\u0301$"}, "café", True),
        ({"regex": "^on call$"}, "on\u00a0call", True),
        ({"regex": "^on\u00a0call$"}, "on call", True),
        ({"regex": r"\u00a0"}, "on\u00a0call", True),
        ({"regex": r"\p{M}"}, "cafe\u0301", True),
        ({"contains": "가"}, "\u1100\u1161", True),
    ],
)
def test_a_text_is_decided(config: dict[str, object], text: str, matched: bool) -> None:
    assert _match(text, **config) == TextDecision(matched)
    assert bool(_match(text, **config)) is matched


@pytest.mark.parametrize("text", [r"a" * 60_000 + "!", "ab " * 20_000 + "!", "word " * 200_000])
@pytest.mark.parametrize("pattern", [r"((a+)+)+$", r"\b(\w+)(?:\s+\1)+\b(?!x)(\w+)*$", r"(?s).*a.*b.*c.*d"])
def test_an_expression_that_backtracks_for_ever_is_stopped(pattern: str, text: str) -> None:
    before = time.thread_time()
    decision = _match(text, regex=pattern)
    assert time.thread_time() - before < 2
    assert not decision


def test_marks_heaped_on_a_letter_cost_no_time() -> None:
    """Sorting 64,000 marks would take seconds."""
    before = time.thread_time()
    assert _match("e\u0301 " + "a" + "\u0301" * 32_000 + "\u0323" * 32_000, contains="é")
    assert time.thread_time() - before < 1


def test_a_timeout_is_told_from_a_text_that_does_not_match() -> None:
    assert _match("a" * 60 + "b", regex=r"(a|aa)+$") == TextDecision(matched=False, timed_out=True)
    assert _match("word", regex="x") == TextDecision(matched=False, timed_out=False)


@pytest.mark.parametrize(
    ("config", "field", "rule"),
    [
        ({}, (), "give one of contains and regex"),
        ({"contains": "a", "regex": "a"}, (), "give one of contains and regex"),
        ({"contains": ""}, ("contains",), "at least 1 character"),
        ({"contains": "a" * 1001}, ("contains",), "at most 1000 characters"),
        ({"contains": 7}, ("contains",), "valid string"),
        ({"regex": ""}, ("regex",), "at least 1 character"),
        ({"regex": "("}, ("regex",), "is not a regular expression: missing ) at position 1"),
        ({"regex": "a" * 1001}, ("regex",), "at most 1000 characters"),
        ({"regex": "a{1,2,3}"}, ("regex",), "is not a repetition"),
        ({"regex": "(?:word){e<=2}"}, ("regex",), "is not a repetition"),
        ({"regex": "(?x) a # b"}, ("regex",), "unknown flag at position 0"),
        ({"regex": "a(?R)?"}, ("regex",), "unknown flag at position 1"),
        ({"regex": "a", "ignore_case": 1}, ("ignore_case",), "valid boolean"),
        ({"regex": "a", "flags": "i"}, ("flags",), "There is no such field"),
    ],
)
def test_a_wrong_config_names_the_field_and_the_rule(
    config: dict[str, object], field: tuple[str, ...], rule: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        TextMatch.model_validate(config)
    (error,) = caught.value.errors()
    assert error["loc"] == field
    assert rule in error["msg"]
