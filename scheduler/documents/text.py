"""Decodes and normalizes the text of a document, or says that it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from scheduler.domain.bounded_regex import compile_bounded
from scheduler.domain.charsets import charset_of, decode
from scheduler.domain.errors import ReveilleError

MARK = " … (cut)"
REGEX_SECONDS = 0.5
SNIFFED_BYTES = 2048

_DECLARED = re.compile(
    rb"""<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_SPACES = re.compile(r"[^\S\n]+")


class Unreadable(ReveilleError):
    """The document cannot be read."""

    status = 502
    problem = "unreadable"


def text_of(body: bytes, content_type: str | None = None) -> str:
    """Decodes by byte order mark, declared charset, `<meta>` or `<?xml>`, or by trial.

    Raises Unreadable for what is not text.
    """
    if charset_of(content_type) is None:
        found = _DECLARED.search(body[:SNIFFED_BYTES])
        if found:
            name = (found[1] or found[2]).decode("ascii")
            content_type = f"text/plain; charset={name}"
    text = decode(body, content_type)
    if text is None or "\0" in text:
        raise Unreadable("The response is not text.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def normalised(text: str) -> str:
    """Strips lines, drops empty ones and collapses spaces."""
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def without(text: str, ignored: Sequence[str]) -> str:
    """Removes what the expressions match. Raises Unreadable when one takes too long."""
    for expression in ignored:
        pattern = cast("Any", compile_bounded(expression))
        try:
            text = pattern.sub("", text, timeout=REGEX_SECONDS)
        except TimeoutError:
            raise Unreadable(f"The expression {expression[:80]!r} of ignore takes too long.") from None
    return text


def cut(text: str, most: int) -> str:
    """Returns the start of a text that is too long, with a mark."""
    return text if len(text) <= most else text[: max(most - len(MARK), 0)].rstrip() + MARK
