"""Values compared and weighed as JSON, whatever Python makes of them."""

from __future__ import annotations

import json
from typing import Any


def json_equal(left: object, right: object) -> bool:
    """Whether two values are the same JSON: 1 equals 1.0, true does not equal 1, the order of keys is no matter.

    Without recursion, so that no depth of nesting fails.
    """
    pending = [(left, right)]
    while pending:
        one, two = pending.pop()
        if isinstance(one, dict) and isinstance(two, dict):
            if one.keys() != two.keys():
                return False
            pending.extend((value, two[key]) for key, value in one.items())
        elif isinstance(one, list) and isinstance(two, list):
            if len(one) != len(two):
                return False
            pending.extend(zip(one, two, strict=True))
        elif isinstance(one, bool) != isinstance(two, bool) or one != two:
            return False
    return True


def matches(value: object, match_value: object) -> bool:
    """Whether a value is the one waited for: the same JSON, or a scalar whose JSON text `match_value` gives."""
    if json_equal(value, match_value):
        return True
    if not isinstance(match_value, str) or isinstance(value, str | list | dict):
        return False
    try:
        return json_equal(value, json.loads(match_value))
    except (ValueError, RecursionError):
        return False


def heavier_than(limit: int, values: list[Any]) -> bool:
    """Whether the values hold more than `limit` characters, a node counting one, shared parts each time."""
    weight, pending = 0, list(values)
    while pending and weight <= limit:
        value = pending.pop()
        weight += 1
        if isinstance(value, str):
            weight += len(value)
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            weight += sum(map(len, value))
            pending.extend(value.values())
    return weight > limit


def deeper_than(limit: int, value: object) -> bool:
    """Whether lists and objects are nested in `value` more than `limit` deep: a scalar is 0 deep, `[]` 1."""
    layer = [value] if isinstance(value, dict | list) else []
    depth = 0
    while layer and depth <= limit:
        depth += 1
        parts = (part for each in layer for part in (each.values() if isinstance(each, dict) else each))
        layer = [part for part in parts if isinstance(part, dict | list)]
    return depth > limit
