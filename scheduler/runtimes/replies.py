"""Reads what an agent answered: its reply, acknowledgements and usage in a JSON object, else the text as it is."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import from_json

from scheduler.domain.run import Replied
from scheduler.domain.usage import read_usage


def read_reply(text: str, *, is_cut: bool) -> Replied:
    """The `reply`, `acks` and `usage` of a JSON object. Without `reply` and a list of `acks`, the text is the reply."""
    parsed = parse_object(text, is_cut=is_cut)
    spent, note = read_usage(parsed.get("usage"))
    acks = parsed.get("acks")
    if "reply" not in parsed and not isinstance(acks, list):
        return Replied(text, is_cut, spent=spent, note=note)
    if is_cut and [*parsed][-1] == "acks":
        acks = None  # perhaps not all of them
    return Replied(as_text(parsed.get("reply")), is_cut, acks=acks, spent=spent, note=note)


def as_text(value: object) -> str:
    """A text as it is, null as none, and anything else as its JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def parse_object(text: str, *, is_cut: bool) -> dict[str, Any]:
    """A JSON object; nothing for any other text. Of one that was cut, what came of it."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        # Not strict: line ends within strings are common in JSON made by hand.
        parsed = from_json(text, allow_partial="trailing-strings") if is_cut else json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
