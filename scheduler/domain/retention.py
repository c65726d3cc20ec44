"""How long history is kept: its kinds, and the days of each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

MOST_DAYS = 36_500
FOR_EVER = 0
IDS_KEPT_DAYS = 30
"""An id by which a sender may repeat itself is known at least so long, however soon its row is removed."""


class History(StrEnum):
    """What is recorded and removed in time."""

    FIRINGS = "firings"
    """With their payloads."""
    INVOCATIONS = "invocations"
    """With their transcripts, and what people were told of them."""
    DELIVERIES = "deliveries"
    """Calls of webhooks."""
    MESSAGES = "messages"
    NOTIFICATIONS = "notifications"
    AUDIT = "audit"

    @property
    def column(self) -> str:
        """The column of a tenant that holds its own days."""
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
    """The days in a text such as `firings=30, audit=0`, the defaults for what it leaves out.

    Raises ValueError with what is wrong.
    """
    days = dict(DEFAULT_DAYS)
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in set(History):
            raise ValueError(
                f"{name[:50]!r} is none of {', '.join(History)}; write for example firings=30,audit=0"
            )
        if not (number.isascii() and number.isdigit() and int(number) <= MOST_DAYS):
            raise ValueError(f"{name} must be days from 0, which is for ever, to {MOST_DAYS}, not {number[:50]!r}")
        days[History(name)] = int(number)
    return days
