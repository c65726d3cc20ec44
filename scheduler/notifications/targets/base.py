"""The interface of notification target kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from scheduler.domain.errors import InvalidField
from scheduler.net.client import Answer

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An outgoing notification. `id` is the same in every attempt, so that the receiver can detect repeats."""

    id: UUID
    invocation_id: UUID | None
    """None for a test and for an alert."""
    agent_id: UUID
    agent_name: str
    content: str
    triggers: tuple[str, ...]
    created_at: datetime
    alert_id: UUID | None = None
    event: str | None = None
    """What became of the alert: `opened`, `open` or `closed`."""


@dataclass(frozen=True, slots=True)
class Call:
    """The POST request to send."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotSent:
    """The notification was not delivered. `permanent`: retrying cannot help. `retry_after`: the seconds requested."""

    error: str
    permanent: bool = False
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the receiver said when to come back (429 or 503 with Retry-After)."""


class Target(Protocol):
    """A kind of target with its secret."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """Returns the request to its URL."""
        ...

    def refusal(self, answer: Answer) -> NotSent | None:
        """Returns the error in a 2xx response; None on success."""
        ...


Factory = Callable[[str | None], Target]
"""Creates a target from its secret, if it has one. Raises InvalidField on `secret`."""


class PlainTarget:
    """A target whose URL is its only secret, and for which 2xx means success."""

    def __init__(self, secret: str | None) -> None:
        if secret is not None:
            raise InvalidField("A target of this kind has no secret besides its URL.", field="secret")

    def refusal(self, answer: Answer) -> NotSent | None:
        """Returns None: 2xx means success."""
        return None


def cut(text: str, length: int) -> str:
    """Cuts `text` to the length that the receiver accepts."""
    return text if len(text) <= length else text[: length - 1] + "…"
