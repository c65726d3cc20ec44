"""The kinds of history and how many days each is kept."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

MOST_DAYS = 36_500
IDS_KEPT_DAYS = 30
"""A sender's idempotency id is remembered at least this long, even if its row is removed sooner."""


class History(StrEnum):
    """A kind of history that is removed after its retention time."""

    FIRINGS = "firings"
    """With their payloads."""
    INVOCATIONS = "invocations"
    """With their transcripts and notifications."""
    DELIVERIES = "deliveries"
    """Webhook deliveries."""
    MESSAGES = "messages"
    NOTIFICATIONS = "notifications"
    AUDIT = "audit"

    @property
    def column(self) -> str:
        """The tenant's column with its setting."""
        return f"keep_{self}_days"


DEFAULT_DAYS: Mapping[History, int] = MappingProxyType(
    {
        History.FIRINGS: 90,
        History.INVOCATIONS: 90,
        History.DELIVERIES: 30,
        History.MESSAGES: 365,
        History.NOTIFICATIONS: 90,
        History.AUDIT: 365,
    }
)


def read_days(text: str) -> dict[History, int]:
    """Parses days in a text such as `firings=30, audit=0`, with defaults for omitted kinds.

    Raises ValueError with the reason.
    """
    days = dict(DEFAULT_DAYS)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in set(History):
            raise ValueError(f"{name[:50]!r} must be one of {', '.join(History)}; for example firings=30,audit=0")
        if not (number.isascii() and number.isdigit() and int(number) <= MOST_DAYS):
            raise ValueError(
                f"{name} must be a number of days from 0 (forever) to {MOST_DAYS}, not {number[:50]!r}"
            )
        days[History(name)] = int(number)
    return days
