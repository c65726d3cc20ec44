"""Text from outside, made fit for the database."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

MAX_REPLY_BYTES = 1024 * 1024
"""A longer reply is cut; it still counts as success."""

# More marks on one letter than any language has (UAX #15, stream-safe text): sorting them takes quadratic time.
_HEAPED_MARKS = regex.compile(r"(\p{M}{31,})")
_SPACES = regex.compile(r"\p{Zs}")


def storable(text: str, max_bytes: int = MAX_REPLY_BYTES) -> tuple[str, bool]:
    r"""`text` as PostgreSQL can hold it, at most so many bytes of UTF-8, and whether it was cut for that.

    PostgreSQL's text has no U+0000, and UTF-8 no lone surrogates (JSON's `\ud800` makes some): both are replaced.
    """
    data = text.replace("\x00", "\ufffd").encode("utf-8", "replace")
    return data[:max_bytes].decode("utf-8", "ignore"), len(data) > max_bytes


@lru_cache(maxsize=64)
def same_text(text: str) -> str:
    """One form for texts that look the same: composed letters (NFC), and a plain space for each other one."""
    if text.isascii():
        return text
    parts = _HEAPED_MARKS.split(text)
    parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
    return _SPACES.sub(" ", "".join(parts))
