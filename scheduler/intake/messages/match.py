"""Matches the text of messages with the conditions of triggers."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.bounded_regex import TextMatch
from scheduler.intake.messages.statements import Listener, StoredMessage
from scheduler.intake.processor_time import ProcessorTime, Spent
from scheduler.storage.audit import Event, record_events

Look = tuple[Listener, StoredMessage]


class Misses:
    """A bounded set of texts known not to match, so that they are not matched again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str | None, UUID], None] = OrderedDict()

    def has(self, listener: Listener, message_id: UUID) -> bool:
        """Whether this message is known not to match the listener."""
        return (listener.text_match, message_id) in self._known

    def add(self, listener: Listener, message_id: UUID) -> None:
        """Remembers a non-match."""
        self._known[listener.text_match, message_id] = None
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Looked:
    """The matches, and what to audit."""

    found: list[Look]
    events: list[Event]


def matching(conn: Connection, looks: Sequence[Look], seconds: float, misses: Misses) -> list[Look]:
    """Matches like `look_at` and writes the audit events."""
    looked = look_at(looks, seconds, misses)
    record_events(conn, looked.events)
    return looked.found


def is_costly(listener: Listener) -> bool:
    """Whether matching requires an untrusted expression."""
    if listener.text_match is None:
        return False
    try:
        return _parsed(listener.text_match).regex is not None
    except ValueError:
        return True


def look_at(looks: Sequence[Look], seconds: float, misses: Misses, shares: ProcessorTime | None = None) -> Looked:
    """Returns those of `looks` whose text matches, decided in order within about the given seconds.

    Expressions are untrusted. One that takes too long or can no longer be parsed counts as a non-match and is
    audited; one that was not reached, or whose agent has no `shares` left, is neither returned nor a non-match.
    """
    until = time.monotonic() + seconds
    found: list[Look] = []
    events: list[Event] = []
    for listener, message in looks:
        if listener.text_match is not None and time.monotonic() > until:
            continue
        try:
            matched, failure = _shared(listener, message, shares)
        except Spent:
            continue
        if matched:
            found.append((listener, message))
        else:
            misses.add(listener, message.id)
        if failure is not None:
            detail = {"message_id": str(message.id), "why": failure}
            events.append(
                Event(
                    "trigger.match_failed",
                    message.tenant_id,
                    listener.trigger_id,
                    listener.agent_id,
                    detail=detail,
                )
            )
    return Looked(found, events)


def _shared(listener: Listener, message: StoredMessage, shares: ProcessorTime | None) -> tuple[bool, str | None]:
    if shares is None or not is_costly(listener):
        return _look(listener.text_match, message.text)
    return shares.use(message.tenant_id, listener.agent_id, lambda: _look(listener.text_match, message.text))


def _look(text_match: str | None, text: str) -> tuple[bool, str | None]:
    """Whether the text matches, and why that could not be decided."""
    if text_match is None:
        return True, None
    try:
        decision = _parsed(text_match).matches(text)
    except ValueError as error:  # a stored pattern that the library no longer accepts must not stop a pass
        return False, f"the expression cannot be used: {str(error)[:500]}"
    return decision.matched, "the expression took too long" if decision.timed_out else None


@lru_cache(maxsize=1024)
def _parsed(text_match: str) -> TextMatch:
    return TextMatch.model_validate_json(text_match)
