"""Makes external text safe inside the context's frame: nothing invisible, nothing that imitates it; JSON indented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import regex

from scheduler.domain.context.translations import LABELS

# Control and format characters (NUL, escapes, bidi overrides, zero-width and tag characters), separators that some
# readers treat as line ends, lone surrogates, and selectors that can smuggle bytes. Joiners stay, as scripts need
# them.
_INVISIBLE = regex.compile(
    r"(?V1)[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\U000E0100-\U000E01EF]--[\n\t\u200C\u200D]]",
)
_LINE_END = re.compile(r"\r\n?")
_MAX_DEPTH = 32
_MAX_PARTS = 5_000
_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_CLOSING = ("}", "]")


def safe_block(text: str, nonce: str, labels: frozenset[str] = frozenset()) -> str:
    """Sanitizes multi-line text. A line that begins like one of the frame or with a label is prefixed with `| `."""
    return _imitation(labels).sub("| ", _without(nonce, _visible(_LINE_END.sub("\n", text))))


def label_of(line: str) -> str:
    """Returns the start of a frame line, up to its colon or its first placeholder."""
    return line.split(":")[0].partition(" {")[0]


@lru_cache(maxsize=64)
def _imitation(labels: frozenset[str]) -> re.Pattern[str]:
    words = "|".join(map(re.escape, sorted(LABELS | labels)))
    return re.compile(rf"^(?=[^\S\n]*(?:={{5}}|-{{3}}|<<<|(?:{words})\b))", re.MULTILINE)


def safe_line(text: str, limit: int, nonce: str | None = None) -> str:
    r"""Sanitizes text for one line of the frame: line ends become `\n`; cut at `limit` characters with `...`."""
    flat = _visible(text).replace("\n", "\\n").replace("\t", " ")
    return shortened(_without(nonce, flat) if nonce else flat, limit)


def shortened(text: str, limit: int) -> str:
    """Returns the text, or its first `limit - 3` characters and `...`."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def fair_share(lengths: Iterable[int], total: int) -> int:
    """Returns the length to cut at so that all fit into `total`: short texts stay whole, long ones get equal
    shares.
    """
    ascending = sorted(lengths)
    left = total
    for index, length in enumerate(ascending):
        share = left // (len(ascending) - index)
        if length > share:
            return share
        left -= length
    return ascending[-1] if ascending else 0


def _visible(text: str) -> str:
    escaped: str = _INVISIBLE.sub(lambda match: _escape(match[0]), text)
    return escaped


def _without(nonce: str, text: str) -> str:
    if nonce.lower() not in text.lower():  # compiling an expression for each nonce is slow
        return text
    return re.sub(re.escape(nonce), "(removed)", text, flags=re.IGNORECASE)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def pretty_if_json(text: str) -> str:
    """Indents JSON objects and arrays by 2 and keeps non-ASCII; returns any other text unchanged.

    Numbers are not converted to floats and duplicate keys are kept: `10.00`, `1e400` and `{"a": 1, "a": 2}` stay
    as they are.
    """
    try:
        value = json.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return text
    return "".join(_indented(text)) if isinstance(value, dict | list) and not _unwieldy(value, text) else text


def pretty(value: object) -> str:
    """Formats a value as JSON in the same way; on one line when indenting would be slow or multiply the size."""
    try:
        compact = json.dumps(value, ensure_ascii=False)
        return compact if _unwieldy(value, compact) else json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "[...]"


def _indented(text: str) -> Iterator[str]:
    """Yields valid JSON indented as by `json.dumps`. Strings are re-encoded, as escapes are hard to read."""
    depth = 0
    parts = _PART.findall(text)
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        match part:
            case "{" | "[":
                depth += 1
                yield part if following in _CLOSING else part + _line(depth)
                continue
            case "}" | "]":
                depth -= 1
                yield part
            case ",":
                yield "," + _line(depth)
            case ":":
                yield ": "
            case _:
                yield json.dumps(json.loads(part), ensure_ascii=False) if part[0] == '"' else part
        if following in _CLOSING:
            yield _line(depth - 1)


def _line(depth: int) -> str:
    return "\n" + "  " * depth


def _unwieldy(value: object, text: str) -> bool:
    """Whether indenting would be slow or multiply the size."""
    if sum(map(text.count, ",[{")) > _MAX_PARTS:
        return True
    layer: list[Any] = [value] if isinstance(value, dict | list) else []
    for _ in range(_MAX_DEPTH):
        layer = [part for one in layer for part in (one.values() if isinstance(one, dict) else one)]
        layer = [part for part in layer if isinstance(part, dict | list)]
    return bool(layer)
