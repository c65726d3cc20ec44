"""Compiles untrusted regular expressions with limits on memory and matching time, and matches texts with them.

The `regex` package has a timeout for matching but none for compiling: it expands every required repetition, so
that 50 nested pluses, `((((a)+)+)+…)+`, become 2^50 nodes and kill the process. The size is therefore computed
first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast

import regex
from pydantic import ConfigDict, Field, field_validator, model_validator

from scheduler.domain.shapes import NamesFields
from scheduler.domain.text import same_text

MAX_PATTERN_CHARS = 1_000
MAX_NODES = 2_000
_MAX_NESTING = 50

_TOKEN = re.compile(
    r"""
      (?P<escape> \\ (?: [pPN] \{ [^}]* \} | . ) )
    | (?P<set> \[ \^? \]? (?: \\. | [^\]\\] )* \] )
    | (?P<flags> \( \? [A-Za-z0-9-]+ [:)] )
    | (?P<comment> \( \? \# [^)]* \) )
    | (?P<open> \( )
    | (?P<close> \) )
    | (?P<repeat> [*+?] | \{ (?: \d+ (?: , \d* )? | , \d+ ) \} )
    | (?P<brace> \{ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_FLAGS = frozenset("aimsu-")
MATCH_SECONDS = 0.1
# One step of a match costs up to the length of the text, and the timeout is checked between steps.
MAX_REGEX_TEXT_CHARS = 65_536


class Pattern(Protocol):
    """The part of a compiled `regex` pattern that is used: returns a match or None; raises TimeoutError."""

    def search(self, string: str, *, timeout: float) -> object | None:
        """Searches the string. The timeout (seconds) is checked between steps, each of which is O(len(string))."""
        ...

    def fullmatch(self, string: str, *, timeout: float) -> object | None:
        """Matches the whole string."""
        ...


@lru_cache(maxsize=256)
def compile_bounded(pattern: str, *, ignore_case: bool = False) -> Pattern:
    """Compiles a pattern in the `regex` package's syntax (a superset of Python's `re`).

    Raises ValueError, with the reason and position, when it is malformed, longer than 1,000 characters, nested
    deeper than 50, or larger than 2,000 nodes with all repetitions expanded. A `{` that is not a repetition must
    be escaped (it would start a fuzzy match); only the inline flags a, i, m, s and u are allowed.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"is longer than {MAX_PATTERN_CHARS} characters")
    _check_size(pattern)
    try:
        return cast("Pattern", regex.compile(pattern, regex.IGNORECASE if ignore_case else 0))
    except regex.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None


def _check_size(pattern: str) -> None:
    """Estimates the number of nodes that compiling creates, never too low."""
    sizes = [0]  # per open group, starting with the whole pattern
    last = 0  # the size of the operand of a following repetition
    for token in _TOKEN.finditer(pattern):
        kind, text, position = token.lastgroup, token[0], token.start()
        _check_form(kind, text, position)
        if kind == "repeat":
            sizes[-1] += last * _required(text)
            last *= 1 + _required(text)
        elif kind == "open" or (kind == "flags" and text.endswith(":")):
            sizes.append(0)
            last = 0
        elif kind == "close" and len(sizes) > 1:
            last = 1 + sizes.pop()
            sizes[-1] += last
        else:
            last = 1
            sizes[-1] += last
        if sizes[-1] > MAX_NODES or len(sizes) > _MAX_NESTING:
            raise ValueError(f"is too large at position {position}: it repeats or nests too much")


def _check_form(kind: str | None, text: str, position: int) -> None:
    if kind == "brace":
        raise ValueError(f"has a {{ at position {position} that is not a repetition: write \\{{")
    if kind == "flags" and not _PLAIN_FLAGS.issuperset(text[2:-1]):
        raise ValueError(f"has an unknown flag at position {position}: the flags are a, i, m, s and u")


def _required(repeat: str) -> int:
    """Returns how many copies of its operand a repetition requires."""
    if repeat.startswith("{"):
        return int(repeat[1:-1].partition(",")[0] or 0)
    return 1 if repeat == "+" else 0


@dataclass(frozen=True, slots=True)
class TextDecision:
    """Whether a text matches. `timed_out`: the expression took too long, which counts as no match and is reported."""

    matched: bool
    timed_out: bool = False

    def __bool__(self) -> bool:
        return self.matched


class TextMatch(NamesFields):
    """Exactly one of `contains` and `regex` (the `regex` package's syntax, a superset of Python's `re`).

    Composed and decomposed letters match each other, as do all kinds of spaces. An expression is searched for in
    the first 65,536 characters, for at most 0.1 s of processor time.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    contains: str | None = Field(default=None, min_length=1, max_length=MAX_PATTERN_CHARS)
    regex: str | None = Field(default=None, min_length=1, max_length=MAX_PATTERN_CHARS)
    ignore_case: bool = False

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            compile_bounded(value)
            compile_bounded(same_text(value))
        return value

    @model_validator(mode="after")
    def _one_of_two(self) -> TextMatch:
        if (self.contains is None) == (self.regex is None):
            raise ValueError("give one of contains and regex")
        return self

    def matches(self, text: str) -> TextDecision:
        """Matches a message's text; never raises."""
        if self.regex is None:
            wanted, text = same_text(self.contains or ""), same_text(text)
            found = wanted.casefold() in text.casefold() if self.ignore_case else wanted in text
            return TextDecision(found)
        # Also in its original form: an expression may ask for a combining mark or a certain space.
        ways = dict.fromkeys([(self.regex, text), (same_text(self.regex), same_text(text))])
        timed_out = False
        for expression, searched in ways:
            try:
                if self._is_found(expression, searched, MATCH_SECONDS / len(ways)):
                    return TextDecision(matched=True)
            except TimeoutError:
                timed_out = True
        return TextDecision(matched=False, timed_out=timed_out)

    def _is_found(self, expression: str, text: str, seconds: float) -> bool:
        pattern = compile_bounded(expression, ignore_case=self.ignore_case)
        return pattern.search(text[:MAX_REGEX_TEXT_CHARS], timeout=seconds) is not None
