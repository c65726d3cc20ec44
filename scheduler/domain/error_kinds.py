"""Groups errors of the same kind: texts that differ only in ids, numbers, times and quoted values."""

from __future__ import annotations

import re

ELLIPSIS = "…"
LONGEST = 200
"""The characters of an error that are compared; what follows is mostly a stranger's answer."""
VARYING = re.compile(
    r"""
    [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}   # a UUID
    | \d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?          # a date or time
    | \b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b                               # a hash or hexadecimal id
    | '[^'\n]{0,200}' | "[^"\n]{0,200}" | “[^”\n]{0,200}”           # a quoted value
    | \d+(?:[.,:]\d+)*                                              # a number
    """,
    re.VERBOSE | re.IGNORECASE,
)
STATUS = re.compile(r"\b(?:HTTP(?:/[\d.]+)?|status(?: code)?|answered|returned)\s+[1-5]\d\d\b", re.IGNORECASE)
"""HTTP status codes distinguish kinds of errors."""


def kind_of(error: str) -> str:
    """Returns the error with an ellipsis for each part that varies."""
    text = " ".join(error.split())[:LONGEST]
    kept: list[str] = []
    at = 0
    for found in STATUS.finditer(text):
        kept += [VARYING.sub(ELLIPSIS, text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*kept, VARYING.sub(ELLIPSIS, text[at:])]).strip()


def longest_part(kind: str) -> str:
    """Returns the longest part of a kind that does not vary: a search for it finds its errors."""
    return max((part.strip() for part in kind.split(ELLIPSIS)), key=len)
