"""Dates and times as people and machines write them."""

from __future__ import annotations

from datetime import datetime


def read_iso(text: str) -> datetime:
    """A date and time of ISO 8601 or RFC 3339, whose `Z` and `T` may be small letters (RFC 3339 section 5.6).

    Without an offset it is naive, a date alone is its midnight. Raises ValueError.
    """
    return datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text)
