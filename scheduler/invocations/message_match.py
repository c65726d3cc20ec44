"""Whether a message's text is what a trigger waits for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.text_match import TextMatch
from scheduler.storage.audit import Event, record_events
from scheduler.storage.messages import Listener, StoredMessage

Look = tuple[Listener, StoredMessage]


class Misses:
    """Texts known not to match, the newest so many: who meets a message again need not look at it again."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str | None, UUID], None] = OrderedDict()

    def has(self, listener: Listener, message_id: UUID) -> bool:
        """Whether this message is known not to be what the listener waits for."""
        return (listener.text_match, message_id) in self._known

    def add(self, listener: Listener, message_id: UUID) -> None:
        """Remember a miss."""
        self._known[listener.text_match, message_id] = None
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


def matching(conn: Connection, looks: Sequence[Look], seconds: float, misses: Misses) -> list[Look]:
    """Those of `looks` whose text matches, decided in their order for at most about so many seconds.

    Expressions are written by strangers. One that takes too long for a text has missed it, audited; what there was
    no time for is neither returned nor a miss.
    """
    until = time.monotonic() + seconds
    found: list[Look] = []
    slow: list[Look] = []
    for listener, message in looks:
        if listener.text_match is None:
            found.append((listener, message))
        elif time.monotonic() <= until:
            decision = _parsed(listener.text_match).matches(message.text)
            if decision:
                found.append((listener, message))
            else:
                misses.add(listener, message.id)
            if decision.timed_out:
                slow.append((listener, message))
    record_events(conn, [_too_slow(listener, message) for listener, message in slow])
    return found


def _too_slow(listener: Listener, message: StoredMessage) -> Event:
    detail = {"message_id": str(message.id)}
    return Event(
        "trigger.match_timed_out", message.tenant_id, listener.trigger_id, listener.agent_id, detail=detail
    )


@lru_cache(maxsize=1024)
def _parsed(text_match: str) -> TextMatch:
    return TextMatch.model_validate_json(text_match)
