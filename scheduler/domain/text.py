"""Makes external text storable and checks names."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

MAX_REPLY_BYTES = 1024 * 1024
"""A longer reply is truncated; it still counts as success."""

# More combining marks on one letter than any language uses (UAX #15, stream-safe text): sorting them takes
# quadratic time.
_HEAPED_MARKS = regex.compile(r"(\p{M}{31,})")
_SPACES = regex.compile(r"\p{Zs}")


def storable(text: str, max_bytes: int = MAX_REPLY_BYTES) -> tuple[str, bool]:
    r"""Makes `text` storable in PostgreSQL within a limit of UTF-8 bytes, and tells whether it was cut.

    PostgreSQL's text has no U+0000, and UTF-8 has no lone surrogates (JSON's `\ud800` produces them): both are
    replaced.
    """
    data = text.replace("\x00", "\ufffd").encode("utf-8", "replace")
    return data[:max_bytes].decode("utf-8", "ignore"), len(data) > max_bytes


@lru_cache(maxsize=64)
def same_text(text: str) -> str:
    """Normalizes texts that look the same: composed letters (NFC), and plain spaces for other kinds of space."""
    if text.isascii():
        return text
    parts = _HEAPED_MARKS.split(text)
    parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
    return _SPACES.sub(" ", "".join(parts))


NON_JOINER, JOINER = "\u200c", "\u200d"
VIRAMA = 9
"""The combining class of signs that suppress a vowel: a joiner after one may end a word (Malayalam chillu)."""


def is_visible(name: str) -> bool:
    """Whether every character of a name is visible or shapes its neighbours, as in some scripts and in emoji.

    Controls, bidirectional overrides, zero-width spaces and the like are refused, so that two names that look the
    same are the same. Zero-width joiners are allowed between two other characters.
    """
    bare = name.replace(NON_JOINER, "").replace(JOINER, "")
    if not bare.isprintable():
        return False
    return bare == name or all(
        _joins(name, index) for index, char in enumerate(name) if char in (NON_JOINER, JOINER)
    )


def _joins(name: str, index: int) -> bool:
    before, after = name[:index][-1:], name[index + 1 :][:1]
    if not before or before in (" ", NON_JOINER, JOINER):
        return False
    return after not in ("", " ", NON_JOINER, JOINER) or (
        after not in (NON_JOINER, JOINER) and unicodedata.combining(before) == VIRAMA
    )
