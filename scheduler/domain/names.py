"""What a name may consist of."""

from __future__ import annotations

import unicodedata

NON_JOINER, JOINER = "\u200c", "\u200d"
VIRAMA = 9
"""The combining class of the signs that suppress a vowel: after one, a joiner may end a word (Malayalam chillu)."""


def is_visible(name: str) -> bool:
    """Whether every character of a name is seen, or shapes its neighbours as scripts and emoji families need.

    Controls, bidirectional overrides, zero-width spaces and the like are refused: two names that look alike must
    be alike. Zero-width joiners are allowed between two other characters.
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
