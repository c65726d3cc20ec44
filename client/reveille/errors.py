"""The errors of this package."""

from __future__ import annotations

from typing import Any

import httpx


class ReveilleError(Exception):
    """The base class of all errors of this package."""


class ConnectionFailed(ReveilleError):
    """Reveille was not reached, or its response was incomplete; whether it acted is unknown."""


class ApiError(ReveilleError):
    """Reveille refused the request: an RFC 9457 problem, or a redirect, which is not followed.

    `status` is the HTTP status, `detail` says what is wrong and what to do, `field` names the first invalid field,
    `errors` all of them, and `retry_after` is in seconds.
    """

    def __init__(self, response: httpx.Response) -> None:
        """Reads the problem in a response of 400 or above; any other body is kept as text."""
        problem = _problem(response)
        self.status = response.status_code
        self.title = str(problem.get("title") or response.reason_phrase)
        moved = response.headers.get("location")
        self.detail = str(
            problem.get("detail") or (moved and f"It is at {moved}; use that address.") or response.text[:500]
        )
        self.field: str | None = problem.get("field")
        self.errors: list[dict[str, Any]] = problem.get("errors") or []
        wait = response.headers.get("retry-after", "")
        self.retry_after: float | None = float(wait) if wait.isdigit() else None
        super().__init__(f"{self.status} {self.title}: {self.detail}")


class NotFound(ApiError):
    """404: the object does not exist, or this key may not see it."""


class Unauthorized(ApiError):
    """401 or 403: the key is wrong, or lacks the permission."""


class SignatureError(ReveilleError):
    """The request was not signed with the agent's secret, or is too old."""


def error_of(response: httpx.Response) -> ApiError:
    """Returns the error for a response of 400 or above."""
    kinds = {401: Unauthorized, 403: Unauthorized, 404: NotFound}
    return kinds.get(response.status_code, ApiError)(response)


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
