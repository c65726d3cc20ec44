"""The `text_match` of an on_message trigger: a substring or a regular expression."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from scheduler.domain.bounded_regex import MAX_PATTERN_CHARS, compile_bounded
from scheduler.domain.text import same_text

MATCH_SECONDS = 0.1
# One step of a match costs up to the length of the text, and the timeout is checked between steps.
MAX_REGEX_TEXT_CHARS = 65_536


@dataclass(frozen=True, slots=True)
class TextDecision:
    """Whether a text matches. `timed_out`: the expression took too long, which counts as no match and is reported."""

    matched: bool
    timed_out: bool = False

    def __bool__(self) -> bool:
        return self.matched


class TextMatch(BaseModel):
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
