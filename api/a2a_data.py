"""Shows data parts of A2A messages as they were sent, since the protocol's types turn every number into a double."""

from __future__ import annotations

from typing import Any

from scheduler.domain.charsets import decode_strictly
from scheduler.domain.json_values import read_json, write_json

CONTENTS = frozenset({"text", "raw", "url", "file"})
"""What a part may contain instead of data."""


def data_as_text(body: dict[str, Any], sent: bytes, *, legacy: bool) -> None:
    """Replaces the data parts of a request's message by text with their JSON. `sent` is the request's body."""
    parts = [*enumerate(_parts_of(body))]
    data = {number: part for number, part in parts if _is_data(part, legacy=legacy)}
    if not data:
        return
    exact = _parts_of(read_json(decode_strictly(sent, "application/json") or "")[0])
    for number, part in data.items():
        del part["data"]
        part |= {"text": write_json(exact[number]["data"], ascii_only=False, sort_keys=False)}
        part |= {"kind": "text"} if legacy else {}


def _parts_of(body: Any) -> list[Any]:
    for name in ("params", "message", "parts"):
        body = body.get(name) if isinstance(body, dict) else None
    return body if isinstance(body, list) else []


def _is_data(part: Any, *, legacy: bool) -> bool:
    if not isinstance(part, dict) or part.get("data") is None or not CONTENTS.isdisjoint(part):
        return False
    return not legacy or (part.get("kind") == "data" and isinstance(part["data"], dict))
