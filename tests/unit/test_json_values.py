"""Values weighed and measured as JSON."""

from __future__ import annotations

import pytest

from scheduler.domain.json_values import deeper_than


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
    while isinstance(value, list):  # taken apart layer by layer: its end would recurse
        value = value.pop()
