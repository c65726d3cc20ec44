"""Makes external text storable, checks names, and compares two texts at bounded cost."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache

import regex

from scheduler.domain.errors import InvalidField

MAX_NAME = 200
MAX_REPLY_BYTES = 1024 * 1024
"""A longer reply is truncated; it still counts as success."""

# More combining marks on one letter than any language uses (UAX #15, stream-safe text): sorting them takes
# quadratic time.
_HEAPED_MARKS = regex.compile(r"(\p{M}{31,})")
_SPACES = regex.compile(r"\p{Zs}")
MAX_COMPARED = 400
"""The most lines compared between a common start and end; more would be too slow."""
MAX_CHARS = 8_000
MAX_LINE_CHARS = 2_000
CONTEXT = 2
MARK = "… (cut)"

STATE_WORDS = {"dead": "failed"}
"""What people read for a state whose value in the API is no everyday word."""
ENDS = {
    "max_fires": "it reached its maximum of firings",
    "expired": "its time is over",
    "finished": "its last run is over",
    "resolved": "its focus is resolved",
}
"""What the note of a trigger that ended by itself says."""

_HEAD = re.compile(r"([-+])(\d+)(?=[ ,])")


def storable(text: str, max_bytes: int = MAX_REPLY_BYTES) -> tuple[str, bool]:
    r"""Makes `text` storable in PostgreSQL within a limit of UTF-8 bytes, and tells whether it was cut.

    PostgreSQL's text has no U+0000, and UTF-8 has no lone surrogates (JSON's `\ud800` produces them): both are
    replaced.
    """
    data = text.replace("\x00", "\ufffd").encode("utf-8", "replace")
    return data[:max_bytes].decode("utf-8", "ignore"), len(data) > max_bytes


def text_or_base64(content: bytes | None) -> tuple[str | None, str | None]:
    """Returns UTF-8 as text, other bytes as base64."""
    if content is None:
        return None, None
    try:
        return content.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(content).decode()


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Returns `1 firing`, or `2 firings`."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


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


def check_name(name: str, value: str) -> None:
    """Refuses an invalid name: names that look the same must be the same."""
    check_text(name, value, MAX_NAME, required=True)
    if not is_visible(value) or value != value.strip():
        raise InvalidField(f"{name} must be printable, without spaces around it.", field=name)


def check_text(name: str, value: str, longest: int, *, required: bool = False) -> None:
    """Refuses text that is missing, too long, or contains characters that cannot be stored or would garble a line."""
    if required and not value.strip():
        raise InvalidField(f"{name} is empty.", field=name)
    if len(value) > longest:
        raise InvalidField(f"{name} is {len(value)} characters long; {longest} are allowed.", field=name)
    for char in value:
        if unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t":
            raise InvalidField(f"{name} contains the control character U+{ord(char):04X}.", field=name)
