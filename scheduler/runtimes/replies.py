"""Reads an agent's answer: reply, acknowledgements and usage in a JSON object, else the plain text."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from scheduler.domain.json_values import read_json
from scheduler.domain.llm import read_usage
from scheduler.domain.run import Replied
from scheduler.domain.templates import as_text

AROUND = "\ufeff\0 \t\r\n"
"""What may surround a JSON document: byte order marks in the text, the NUL that ends a C string, blanks."""


def read_reply(text: str, *, is_cut: bool) -> Replied:
    """Returns the `reply`, `acks` and `usage` of a JSON object.

    Without `reply` and a list of `acks`, the text is the reply.
    """
    parsed = parse_object(text, is_cut=is_cut)
    spent, note = read_usage(parsed.get("usage"))
    acks = parsed.get("acks")
    if "reply" not in parsed and not isinstance(acks, list):
        return Replied(text, is_cut, spent=spent, note=note)
    if is_cut and [*parsed][-1] == "acks":
        acks = None  # perhaps not all of them
    return Replied(as_text(parsed.get("reply")), is_cut, acks=acks, spent=spent, note=note)


def parse_object(text: str, *, is_cut: bool) -> dict[str, Any]:
    """Parses a JSON object; returns nothing for any other text, and of one that was cut the part that arrived."""
    text = text.strip(AROUND)
    if not text.startswith("{"):
        return {}
    try:
        parsed = from_json(text, allow_partial="trailing-strings") if is_cut else read_json(text, lenient=True)[0]
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
