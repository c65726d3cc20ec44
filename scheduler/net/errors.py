"""Errors of outgoing requests, and when a server wants to be asked again. The messages name hosts, never whole URLs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from scheduler.domain.errors import ReveilleError

_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?", re.ASCII)


class NetworkError(ReveilleError):
    """The request failed."""

    permanent = False
    status = 502
    problem = "network"


class UrlRefused(NetworkError):
    """The URL may not be requested."""

    permanent = True
    status = 422
    problem = "url-refused"

    def __init__(self, message: str | None = None, *, field: str | None = "url") -> None:
        super().__init__(message, field=field)


class ResolveFailed(NetworkError):
    """The host name does not resolve."""

    problem = "resolve-failed"


class ConnectFailed(NetworkError):
    """The connection to the server failed."""

    problem = "connect-failed"


class TimedOut(NetworkError):
    """The server did not answer in time."""

    status = 504
    problem = "timed-out"


class AnswerBroken(NetworkError):
    """The server's response is not valid HTTP, or it ended early."""

    problem = "answer-broken"


class TooLarge(NetworkError):
    """The server's response is larger than allowed."""

    permanent = True
    problem = "answer-too-large"


class TooManyRedirects(NetworkError):
    """The server keeps redirecting."""

    permanent = True
    problem = "too-many-redirects"


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Returns the seconds in a Retry-After header, given as seconds or as a date (RFC 9110 §10.2.3);

    None if unusable. Fractions and ISO 8601 are read too; of several headers, the longest wait counts.
    """
    if value is None:
        return None
    whole = _wait(value, now)
    waits = [_wait(each, now) for each in value.split(",")] if whole is None else [whole]
    return max((each for each in waits if each is not None), default=None)


def _wait(value: str, now: datetime) -> float | None:
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value[:12])
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(value)
            return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        except (ValueError, OverflowError):
            continue
    return None


def is_put_off(status: int, retry_after: float | None) -> bool:
    """Whether a server said when to come back, which is not a failure of the request."""
    return retry_after is not None and status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
