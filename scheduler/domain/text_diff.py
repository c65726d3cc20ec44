"""What is different between two texts, in the unified form, at a cost that does not grow with them."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence

MAX_COMPARED = 400
"""Lines of each text between what is the same at their starts and ends; comparing more is too slow."""
MAX_CHARS = 8_000
MAX_LINE_CHARS = 2_000
CONTEXT = 2
MARK = "… (cut)"

_HEAD = re.compile(r"([-+])(\d+)(?=[ ,])")


def lines_of(value: object) -> list[str]:
    """The lines of a text, or of a list of texts; of nothing, none."""
    if value is None:
        return []
    texts = value if isinstance(value, list) else [value]
    return [
        line
        for text in texts
        for line in (text if isinstance(text, str) else json.dumps(text, default=str)).split("\n")
    ]


def unified_diff(old: Sequence[str], new: Sequence[str]) -> str:
    """The lines that went (`-`) and came (`+`), with two lines around them; cut, with a mark, where it is long."""
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
    text = "\n".join(_moved(line, start) for line in list(compared)[2:])  # without the names of files
    if len(text) > MAX_CHARS:
        return text[:MAX_CHARS].rstrip() + "\n" + MARK
    return text + "\n" + MARK if is_cut else text


def _moved(line: str, lines: int) -> str:
    """A hunk's head with the line numbers of the whole texts; any other line as it is."""
    return _HEAD.sub(lambda found: f"{found[1]}{int(found[2]) + lines}", line) if line.startswith("@@") else line
