"""Errors of outgoing requests. The messages name hosts, never whole URLs."""

from __future__ import annotations

from scheduler.domain.errors import ReveilleError


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
    """The server's answer is not valid HTTP, or it ended early."""

    problem = "answer-broken"


class TooLarge(NetworkError):
    """The server's answer is larger than allowed."""

    permanent = True
    problem = "answer-too-large"


class TooManyRedirects(NetworkError):
    """The server keeps redirecting."""

    permanent = True
    problem = "too-many-redirects"
