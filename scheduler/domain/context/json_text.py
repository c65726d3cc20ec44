"""Indents JSON for reading, without changing its numbers or keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_MAX_DEPTH = 32
_MAX_PARTS = 5_000
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_CLOSING = ("}", "]")


def pretty_if_json(text: str) -> str:
    """Indents JSON objects and arrays by 2 and keeps non-ASCII; returns any other text unchanged.

    Numbers are not converted to floats and duplicate keys are kept: `10.00`, `1e400` and `{"a": 1, "a": 2}` stay
    as they are.
    """
    try:
        value = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return text
    return "".join(_indented(text)) if isinstance(value, dict | list) and not _unwieldy(value, text) else text


def pretty(value: object) -> str:
    """Formats a value as JSON in the same way; on one line when indenting would be slow or multiply the size."""
    try:
        compact = json.dumps(value, ensure_ascii=False)
        return compact if _unwieldy(value, compact) else json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "[...]"


def _indented(text: str) -> Iterator[str]:
    """Yields valid JSON indented as by `json.dumps`. Strings are re-encoded, as escapes are hard to read."""
    depth = 0
    parts = _PART.findall(text)
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        match part:
            case "{" | "[":
                depth += 1
                yield part if following in _CLOSING else part + _line(depth)
                continue
            case "}" | "]":
                depth -= 1
                yield part
            case ",":
                yield "," + _line(depth)
            case ":":
                yield ": "
            case _:
                yield json.dumps(json.loads(part), ensure_ascii=False) if part[0] == '"' else part
        if following in _CLOSING:
            yield _line(depth - 1)


def _line(depth: int) -> str:
    return "\n" + "  " * depth


def _unwieldy(value: object, text: str) -> bool:
    """Whether indenting would be slow or multiply the size."""
    if sum(map(text.count, ",[{")) > _MAX_PARTS:
        return True
    layer: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(_MAX_DEPTH):
        layer = [part for one in layer for part in (one.values() if isinstance(one, dict) else one)]
        layer = [part for part in layer if isinstance(part, dict | list)]
    return bool(layer)
