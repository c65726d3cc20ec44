"""Compares two texts in unified format at bounded cost."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence

MAX_COMPARED = 400
"""The most lines compared between a common start and end; more would be too slow."""
MAX_CHARS = 8_000
MAX_LINE_CHARS = 2_000
CONTEXT = 2
MARK = "… (cut)"

_HEAD = re.compile(r"([-+])(\d+)(?=[ ,])")


def lines_of(value: object) -> list[str]:
    """Returns the lines of a text or of a list of texts; none for None."""
    if value is None:
        return []
    texts = value if isinstance(value, list) else [value]
    return [
        line
        for text in texts
        for line in (text if isinstance(text, str) else json.dumps(text, default=str)).split("\n")
    ]


def unified_diff(old: Sequence[str], new: Sequence[str]) -> str:
    """Returns the removed (`-`) and added (`+`) lines with two lines of context; cut, with a mark, if too long."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    end = 0
    while end < min(len(old), len(new)) - same and old[-1 - end] == new[-1 - end]:
        end += 1
    start = max(same - CONTEXT, 0)
    stop = max(end - CONTEXT, 0)
    before, after = old[start : len(old) - stop], new[start : len(new) - stop]
    is_cut = max(len(before), len(after)) > MAX_COMPARED
    compared = difflib.unified_diff(
        [line[:MAX_LINE_CHARS] for line in before[:MAX_COMPARED]],
        [line[:MAX_LINE_CHARS] for line in after[:MAX_COMPARED]],
        n=CONTEXT,
        lineterm="",
    )
    text = "\n".join(_moved(line, start) for line in list(compared)[2:])  # skip the file headers
    if len(text) > MAX_CHARS:
        return text[:MAX_CHARS].rstrip() + "\n" + MARK
    return text + "\n" + MARK if is_cut else text


def _moved(line: str, lines: int) -> str:
    """Shifts the line numbers in a hunk header to those of the whole texts; returns other lines unchanged."""
    return _HEAD.sub(lambda found: f"{found[1]}{int(found[2]) + lines}", line) if line.startswith("@@") else line
