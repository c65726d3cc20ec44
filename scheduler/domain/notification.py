"""What people are told when an agent that was woken has something to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MARK = "⚡"
REASON_LENGTH = 80
"""Characters of a trigger's reason that its summary shows."""
SUMMARY_LENGTH = 200
"""Characters of the summary of all triggers together, and of the one that a trigger is given."""
SEPARATOR = " · "

_DEFAULTS = {"en": "Woken by {name}", "zh": "由 {name} 唤醒"}


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the triggers that woke the agent."""

    name: str
    reason: str
    summary: str | None
    """What it is set to tell people, in place of its reason, which is written for the agent."""


def summary_of(causes: Iterable[Cause], language: str) -> str:
    """One line: of each trigger its own summary, else its reason, else its name; the same text once."""
    texts = dict.fromkeys(_one(cause, language) for cause in causes)
    return _cut(SEPARATOR.join(texts), SUMMARY_LENGTH)


def content_of(summary: str, reply: str) -> str:
    """The message that people read: the summary, marked, and the agent's reply below it."""
    return f"{MARK} {summary}\n\n{reply}"


def _one(cause: Cause, language: str) -> str:
    own, reason = _line(cause.summary or ""), _line(cause.reason)
    if own:
        return own
    if reason:
        return _cut(reason, REASON_LENGTH)
    return _DEFAULTS.get(language, _DEFAULTS["en"]).format(name=cause.name)


def _line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
