"""The usage that a run reports: valid numbers are counted, others are noted."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from scheduler.domain.llm import ResponseUsage, read_usage
from scheduler.domain.run import Replied
from scheduler.runtimes.replies import read_reply


@pytest.mark.parametrize(
    ("usage", "spent"),
    [
        ({"input_tokens": 12, "output_tokens": 3, "cost": 0.25}, ResponseUsage(12, 3, Decimal("0.25"))),
        ({"input_tokens": 12}, ResponseUsage(12, 0, Decimal(0))),
        ({"output_tokens": 3.0}, ResponseUsage(0, 3, Decimal(0))),
        ({"cost": 1e-7}, ResponseUsage(0, 0, Decimal("1E-7"))),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_cost_usd": 1}, ResponseUsage(5, 2, Decimal(1))),
        ({"input_tokens": None, "output_tokens": 0}, ResponseUsage(0, 0, Decimal(0))),
        ({"other": 1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_numbers_are_counted(usage: Any, spent: ResponseUsage | None) -> None:
    assert read_usage(usage) == (spent, None)


@pytest.mark.parametrize(
    ("usage", "spent", "said"),
    [
        ({"input_tokens": -1, "output_tokens": 2}, ResponseUsage(0, 2, Decimal(0)), "input_tokens -1"),
        ({"input_tokens": "12"}, None, "input_tokens '12'"),
        ({"input_tokens": 1.5}, None, "input_tokens 1.5"),
        ({"input_tokens": True}, None, "input_tokens True"),
        ({"input_tokens": 1, "cost": float("nan")}, ResponseUsage(1, 0, Decimal(0)), "cost nan"),
        ({"cost": float("inf")}, None, "cost inf"),
        ({"cost": -0.5}, None, "cost -0.5"),
        ({"output_tokens": [1]}, None, "output_tokens an array"),
        ({"output_tokens": 10**400}, None, "output_tokens a number that is too large"),
        ({"input_tokens": "x" * 1000}, None, "…"),
        ("lots", None, "usage is not an object"),
        ([1], None, "usage is not an object"),
        (7, None, "usage is not an object"),
    ],
)
def test_anything_but_a_number_is_reported_and_not_counted(
    usage: Any, spent: ResponseUsage | None, said: str
) -> None:
    counted, note = read_usage(usage)
    assert counted == spent
    assert said in (note or "")
    assert len(note or "") < 200


def test_a_price_may_be_a_text_where_the_api_is_known_to_write_it_so() -> None:
    usage = {"prompt_tokens": 5, "total_price": "0.0012890"}
    assert read_usage(usage, texts=True) == (ResponseUsage(5, 0, Decimal("0.001289")), None)
    assert read_usage({"total_price": "dear"}, texts=True)[1] == "Of usage was not counted: total_price 'dear'."


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ('{"reply": "hi", "usage": {"input_tokens": 2}}', Replied("hi", spent=ResponseUsage(2, 0, Decimal(0)))),
        ('{"result": 1, "usage": {"input_tokens": 2}}', "the text"),
        (
            '{"reply": "hi", "usage": {"cost": NaN}}',
            Replied("hi", note="Of usage was not counted: cost nan."),
        ),
        (
            '{"reply": "hi", "usage": {"cost": 1e999}}',
            Replied("hi", note="Of usage was not counted: cost 1E+999."),
        ),
        ("plain", Replied("plain")),
    ],
)
def test_a_reply_is_never_lost_for_its_usage(text: str, reply: Any) -> None:
    expected = Replied(text, spent=ResponseUsage(2, 0, Decimal(0))) if reply == "the text" else reply
    assert read_reply(text, is_cut=False) == expected


def test_a_deeply_nested_usage_is_reported_or_ignored() -> None:
    text = '{"reply": "hi", "usage": ' + "[" * 500 + "]" * 500 + "}"
    assert json.loads(text)
    assert read_reply(text, is_cut=False).note == "usage is not an object and was not counted: an array."
