"""Base class of the kinds of notification targets."""

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
    """A notification that is sent. `id` is the same at every try: the receiver knows a repeated one by it."""

    id: UUID
    invocation_id: UUID | None
    """None for a test."""
    agent_id: UUID
    agent_name: str
    content: str
    triggers: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """The POST to be made."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotSent:
    """Why it did not arrive. `permanent`: another try cannot help. `retry_after`: seconds that were asked for."""

    error: str
    permanent: bool = False
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the receiver said when to come back (429 or 503 with Retry-After)."""


class Target(Protocol):
    """A kind of target, with its secret."""

    def call(self, note: Outgoing, now: datetime) -> Call:
        """What is posted to its URL."""
        ...

    def refusal(self, answer: Answer) -> NotSent | None:
        """What an answer of status 2xx says against it; None when all is well."""
        ...


Factory = Callable[[str | None], Target]
"""Makes a target from its secret, if it has one. Raises InvalidField on `secret`."""


class Plain:
    """A target whose URL alone lets anybody write there, and whose 2xx means that it arrived."""

    def __init__(self, secret: str | None) -> None:
        if secret is not None:
            raise InvalidField("A target of this kind has no secret: its URL is all there is.", field="secret")

    def refusal(self, answer: Answer) -> NotSent | None:
        """Nothing."""
        return None


def cut(text: str, length: int) -> str:
    """`text` as long as the receiver takes it."""
    return text if len(text) <= length else text[: length - 1] + "…"
