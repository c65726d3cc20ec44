"""Converts a model's errors to the outcome of an attempt: whether and when a retry can help."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelHTTPError,
    ModelQuotaExceededError,
    UserError,
)

from scheduler.domain.errors import ReveilleError
from scheduler.domain.run import Failed
from scheduler.net.errors import is_put_off

TEMPORARY = frozenset({408, 409, 425, 429})
"""The 4xx statuses that mean "later"; every 5xx does, too."""
EXCERPT = 500
"""How many characters of a provider's message are kept."""


class UnusableResponse(Exception):
    """An unusable response: cut off, or stopped by the provider. `permanent`: it would happen again."""

    def __init__(self, text: str, *, permanent: bool = False, reason: str = "failed") -> None:
        super().__init__(text)
        self.permanent = permanent
        self.reason = reason


ERRORS = (UnusableResponse, AgentRunError, UserError, ReveilleError)
"""Everything that a model request can raise."""


def failure(model: str, error: Exception) -> Failed:
    """Converts an error of `model`."""
    ours = next((each for each in _chain(error) if isinstance(each, ReveilleError)), None)
    if ours is not None:
        return Failed(f"{model}: {ours.message}", permanent=ours.permanent)
    if isinstance(error, UnusableResponse):
        return Failed(f"{model}: {error}", permanent=error.permanent, reason=error.reason)
    if isinstance(error, ModelHTTPError):
        said = _short(_words(error.body)) or "no reason given"
        return Failed(
            f"{model} answered HTTP {error.status_code}: {said}",
            permanent=_is_permanent(error),
            retry_after=error.retry_after,
            was_put_off=is_put_off(error.status_code, error.retry_after),
        )
    retry_after = error.retry_after if isinstance(error, ModelAPIError) else None
    return Failed(f"{model}: {_plain(error)}", permanent=isinstance(error, UserError), retry_after=retry_after)


def all_failed(failures: Sequence[Failed]) -> Failed:
    """Returns the outcome of an attempt in which every model failed: retried as soon as one of them may work."""
    if len(failures) == 1:
        return failures[0]
    temporary = [each for each in failures if not each.permanent]
    waits = [each.retry_after for each in temporary]
    return Failed(
        "; then ".join(each.error for each in failures),
        permanent=all(each.permanent for each in failures),
        retry_after=None if None in waits else min((each for each in waits if each is not None), default=None),
        reason=failures[-1].reason,
        was_put_off=bool(temporary) and all(each.was_put_off for each in temporary),
    )


def _is_permanent(error: ModelHTTPError) -> bool:
    if isinstance(error, ModelQuotaExceededError):
        return True
    if error.provider_retry_hint is not None:
        return not error.provider_retry_hint
    return error.status_code < 500 and error.status_code not in TEMPORARY


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _plain(error: Exception) -> str:
    """Describes an error of the libraries in words for the person who configured the model."""
    text = _short(str(error)) or type(error).__name__
    if text.startswith("Streamed response ended without"):
        return "The response ended early."
    if text == "Connection error.":
        *_, cause = _chain(error)
        number = cause.errno if isinstance(cause, OSError) else None
        if number is not None and number > 0:
            return f"No connection to its address: {os.strerror(number)}."
        return f"The connection failed: {_short(str(cause)).rstrip('.')}."
    return text


def _words(body: object) -> str:
    """Returns the message in a provider's error response, which most have."""
    if not isinstance(body, Mapping):
        return "" if body is None else str(body)
    inner = body.get("error")
    for each in (body.get("message"), inner.get("message") if isinstance(inner, Mapping) else inner):
        if isinstance(each, str) and each.strip():
            return each
    return str(dict(body))


def _short(text: str) -> str:
    return " ".join(text.split())[:EXCERPT]
