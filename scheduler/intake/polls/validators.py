"""The validators of an answer that can be sent back with the next request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from scheduler.net.client import Answer

MAX_VALIDATOR_CHARS = 1000
STRONG_AFTER = timedelta(seconds=1)
"""A `Last-Modified` no older than this may belong to two contents of one second (RFC 9110 section 8.8.2.2)."""


def etag_of(answer: Answer) -> str | None:
    """The answer's `ETag`."""
    return _validator(answer, "etag")


def last_modified_of(answer: Answer) -> str | None:
    """The `Last-Modified` that tells two contents apart: one that was more than a second old when it was sent."""
    text = _validator(answer, "last-modified")
    try:
        modified, sent = (_moment(each) for each in (text or "", answer.headers.get("date", "")))
        return text if sent - modified > STRONG_AFTER else None
    except (ValueError, OverflowError):
        return None


def _moment(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _validator(answer: Answer, name: str) -> str | None:
    """A validator that can be sent back as it is."""
    value = answer.headers.get(name, "").strip()
    fits = 0 < len(value) <= MAX_VALIDATOR_CHARS and value.isascii() and value.isprintable()
    return value if fits else None
