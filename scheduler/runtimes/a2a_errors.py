"""Converts errors of a remote agent to the outcome of an attempt."""

from __future__ import annotations

from datetime import datetime

import httpx
from a2a.client.errors import A2AClientError, AgentCardResolutionError
from a2a.utils.errors import A2AError, InternalError, InvalidAgentResponseError, TaskNotFoundError
from google.protobuf.json_format import ParseError

from scheduler.domain.errors import ReveilleError
from scheduler.domain.run import Failed
from scheduler.net.errors import is_put_off, parse_retry_after

TEMPORARY_STATUSES = frozenset({408, 425, 429})
TEMPORARY_ERRORS = (InternalError, InvalidAgentResponseError, TaskNotFoundError)
"""Errors that may pass; any other protocol error means that our request will never succeed."""
NOT_A2A = (ParseError, ValueError, KeyError, TypeError, AttributeError)
"""The library's errors for responses that are not A2A."""

ERRORS = (ReveilleError, A2AError, httpx.HTTPError, *NOT_A2A)
"""Everything that a call of a remote agent may raise."""


def failure(error: BaseException, now: datetime) -> Failed:
    """Converts one of ERRORS: whether to retry, and after how long."""
    if isinstance(error, ReveilleError):
        return Failed(error.message, permanent=error.permanent)
    if isinstance(error, A2AError) and not isinstance(error, A2AClientError):
        return Failed(
            f"The agent answered with an error: {error}", permanent=not isinstance(error, TEMPORARY_ERRORS)
        )
    response = _response(error)
    if response is not None:
        return _refused(response, now)
    cause = error.__cause__ or error
    if isinstance(cause, httpx.HTTPError):
        return Failed(f"The connection to the agent failed: {str(cause) or type(cause).__name__}")
    if isinstance(error, AgentCardResolutionError):
        return Failed(f"The agent's card is invalid: {error}", permanent=True)
    return Failed(f"The agent's answer is not A2A: {error}")


def _response(error: BaseException) -> httpx.Response | None:
    for each in (error, error.__cause__):
        if isinstance(each, httpx.HTTPStatusError):
            return each.response
    return None


def _refused(response: httpx.Response, now: datetime) -> Failed:
    """Handles an HTTP status as the `http` runtime does."""
    status = response.status_code
    if status in TEMPORARY_STATUSES or status >= 500:
        wait = parse_retry_after(response.headers.get("retry-after"), now)
        return Failed(f"The agent answered HTTP {status}.", retry_after=wait, was_put_off=is_put_off(status, wait))
    return Failed(f"The agent answered HTTP {status}.", permanent=True)
