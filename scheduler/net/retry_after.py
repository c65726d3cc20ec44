"""Reads when a server wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Returns the seconds in a Retry-After header, given as seconds or as a date (RFC 9110 §10.2.3);

    None if unusable.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def is_put_off(status: int, retry_after: float | None) -> bool:
    """Whether a server said when to come back, which is not a failure of the request."""
    return retry_after is not None and status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
