"""Defines every error of Reveille. They share one root, and each docstring is the default message.

`permanent` tells a retry policy whether trying again can help. `problem` is the slug in RFC 9457 responses;
`status` is the HTTP status.
"""

from __future__ import annotations

import threading


class ReveilleError(Exception):
    """Something went wrong."""

    permanent: bool = True
    status: int = 500
    problem: str = "error"

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.field = field

    @property
    def message(self) -> str:
        """The text for people: what is wrong, where, and what to do."""
        return str(self.args[0])


class InvalidField(ReveilleError):
    """A field is not valid."""

    status = 422
    problem = "invalid-field"


class Unauthorized(ReveilleError):
    """The API key is missing, wrong or revoked."""

    status = 401
    problem = "unauthorized"


class BadSignature(ReveilleError):
    """The signature of what was sent is not accepted."""

    status = 401
    problem = "bad-signature"


class Forbidden(ReveilleError):
    """The API key does not have the scope for this."""

    status = 403
    problem = "forbidden"


class NotFound(ReveilleError):
    """There is no such thing here."""

    status = 404
    problem = "not-found"


class Conflict(ReveilleError):
    """The current state does not allow this."""

    status = 409
    problem = "conflict"


class PayloadTooLarge(ReveilleError):
    """The body is too large."""

    status = 413
    problem = "payload-too-large"


class LimitReached(ReveilleError):
    """A limit was reached; try again later."""

    permanent = False
    status = 429
    problem = "limit-reached"

    def __init__(
        self, message: str | None = None, *, field: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, field=field)
        self.retry_after = retry_after


class DatabaseUnavailable(ReveilleError):
    """The database does not answer; nothing was recorded, try again."""

    permanent = False
    status = 503
    problem = "database-unavailable"


class RolledBack(DatabaseUnavailable):
    """The database rolled this transaction back; nothing was recorded, try again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The database rolled this back ({reason}); nothing was recorded, try again.")
        self.reason = reason


class ConfigurationError(ReveilleError):
    """The configuration is not valid."""

    problem = "configuration"


def stops_process(error: BaseException) -> bool:
    """Whether somebody is stopping the process: Python raises KeyboardInterrupt only in the main thread."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
