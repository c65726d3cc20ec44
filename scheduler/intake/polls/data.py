"""Formats the result of a check for firings and for display."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from scheduler.domain.context import AS_SENT
from scheduler.domain.json_values import WrittenDecimal, deeper_than, write_json
from scheduler.domain.text import lines_of, unified_diff
from scheduler.triggers.poll import PollConfig, SeenValue

MAX_DATA_CHARS = 64 * 1024
"""The maximum bytes of each value's JSON in a firing's data."""
MAX_DATA_DEPTH = 32

_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A displayed value. `is_cut`: it is text, the start of the value's JSON.

    `sent` is its JSON when `value` cannot represent it all: numbers such as `10.00` and `1e400`, duplicate keys.
    """

    value: Any
    is_cut: bool = False
    sent: str | None = None


def shown(value: object) -> ShownValue:
    r"""Formats `value` for display.

    U+0000 and lone surrogates (`\ud800`), which PostgreSQL or UTF-8 cannot hold, are replaced; a number that is
    not a double becomes its original text.
    """
    sent = _storable(write_json(value, ascii_only=False))
    if len(sent) > MAX_DATA_CHARS or deeper_than(MAX_DATA_DEPTH, value):
        return ShownValue(sent[:MAX_DATA_CHARS], is_cut=True)
    plain = json.loads(_storable(json.dumps(value, ensure_ascii=False, default=_text)))
    return ShownValue(plain, sent=None if write_json(plain, ascii_only=False) == sent else sent)


def firing_data(config: PollConfig, before: SeenValue | None, seen: SeenValue) -> dict[str, Any]:
    """Returns `{"old"?, "new"}` for a firing, with a `diff` for texts and pages.

    `cut` names shortened members, `nothing` missing ones, and `as_sent` has the JSON of members that the value
    cannot fully represent.
    """
    both = ({} if before is None else {"old": before}) | {"new": seen}
    parts = {name: shown(each.value) for name, each in both.items()}
    told: dict[str, Any] = {
        "cut": [name for name, part in parts.items() if part.is_cut],
        "nothing": [name for name, each in both.items() if not each.is_there],
        AS_SENT: {name: part.sent for name, part in parts.items() if part.sent is not None},
    }
    if config.read != "json" and before is not None:
        told["diff"] = _storable(unified_diff(lines_of(before.value), lines_of(seen.value)))
    return {name: part.value for name, part in parts.items()} | {name: each for name, each in told.items() if each}


def _storable(text: str) -> str:
    return _ESCAPED_NUL.sub(r"\1\\ufffd", text).encode("utf-8", "replace").decode()


def _text(number: object) -> str:
    return number.text if isinstance(number, WrittenDecimal) else str(number)
