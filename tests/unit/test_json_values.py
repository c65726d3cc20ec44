"""JSON values are compared and measured."""

from __future__ import annotations

import pytest

from scheduler.domain.json_values import deeper_than, json_equal, read_json, write_json


@pytest.mark.parametrize(
    ("value", "depth"),
    [(None, 0), ("[[", 0), ([], 1), ({}, 1), ([1, [2]], 2), ({"a": [{"b": []}]}, 4), ([[], {"a": {}}], 3)],
)
def test_the_depth_of_a_value_is_that_of_its_deepest_list_or_object(value: object, depth: int) -> None:
    assert not deeper_than(depth, value)
    assert depth == 0 or deeper_than(depth - 1, value)


def test_no_depth_is_too_deep_to_be_measured() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    assert deeper_than(99_999, value)
    assert not deeper_than(100_000, value)
    while isinstance(value, list):  # taken apart layer by layer, because freeing it would recurse
        value = value.pop()


@pytest.mark.parametrize(
    "text",
    ["10.00", "-0", "1e2", "1E+400", "12345678901234567.89", '{"a": 1, "a": 1.0}', "9" * 5_000, "[0.10, {}, []]"],
)
def test_numbers_and_doubled_keys_are_written_as_they_were_read(text: str) -> None:
    assert write_json(read_json(text)[0]) == text


@pytest.mark.parametrize(("one", "two"), [("10.00", "10"), ("-0", "0"), ("1e2", "100"), ("0.10", "0.1")])
def test_numbers_are_the_same_however_they_are_written(one: str, two: str) -> None:
    assert json_equal(read_json(one)[0], read_json(two)[0])


def test_the_depth_counts_what_a_doubled_key_hides() -> None:
    assert deeper_than(2, read_json('{"a": [[1]], "a": 1}')[0])
