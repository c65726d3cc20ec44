"""What a look may use of the worker that it runs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from scheduler.domain.permitted import Permitted


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program came to."""

    status: int
    output: bytes
    errors: str


class Run(Protocol):
    """Runs a program to its end."""

    def __call__(self, command: Sequence[str], given: bytes, *, seconds: float, most: int) -> Ran:
        """Raises ReveilleError when it ends too late, or says more than `most` bytes; nothing of it stays."""
        ...


class Fetched(Protocol):
    """An answer of a server."""

    @property
    def status(self) -> int:
        """Its status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers; their names ignore case."""

    @property
    def body(self) -> bytes:
        """Its body, decoded."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a look may use. All of it may block, and raises ReveilleError."""

    permitted: Permitted
    now: Callable[[], datetime]
    run: Run
    fetch: Callable[[str, Mapping[str, str], int], Fetched]
    """GETs a URL that may be requested: the URL, headers, and the most bytes."""
    address_of: Callable[[str, int], str]
    """The address of a host and port that may be connected to."""
    read: Callable[..., Any]
    """Reads a document in a process apart (`scheduler.documents.apart.Apart.read`)."""
    trigger_id: UUID | None = None
    """Whose look it is; None for a trial, which is to leave everything as it is."""
