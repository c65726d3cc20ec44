"""Reads plain text: the whole, or what a regular expression finds in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from scheduler.documents.text import REGEX_SECONDS, Unreadable, normalised, text_of, without
from scheduler.domain.bounded_regex import compile_bounded


def read(
    body: bytes, *, content_type: str | None = None, regex: str | None = None, ignore: Sequence[str] = ()
) -> list[str]:
    """Returns the text in a list; with `regex` its first match or the first group; an empty list for no match."""
    text = text_of(body, content_type)
    if regex is not None:
        try:
            found = cast("Any", compile_bounded(regex)).search(text, timeout=REGEX_SECONDS)
        except TimeoutError:
            raise Unreadable("The expression of regex takes too long for this text.") from None
        if found is None:
            return []
        text = (found[1] if found.re.groups else found[0]) or ""
    return [normalised(without(text, ignore))]
