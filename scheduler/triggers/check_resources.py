"""The resources of a worker that a check may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from scheduler.domain.permissions import Permitted


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The result of a program."""

    status: int
    output: bytes
    errors: str


class ProgramRunner(Protocol):
    """Runs a program to its end."""

    def __call__(self, command: Sequence[str], given: bytes, *, seconds: float, most: int) -> ProgramResult:
        """Raises ReveilleError when it takes too long or prints more than `most` bytes; leaves no process behind."""
        ...


class FetchedResponse(Protocol):
    """A server's response."""

    @property
    def status(self) -> int:
        """Its status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers; names are case-insensitive."""

    @property
    def body(self) -> bytes:
        """Its body, decoded."""


@dataclass(frozen=True, slots=True)
class CheckResources:
    """The resources. All of them may block, and raise ReveilleError."""

    permitted: Permitted
    now: Callable[[], datetime]
    run: ProgramRunner
    fetch: Callable[[str, Mapping[str, str], int], FetchedResponse]
    """GETs a URL that may be requested: the URL, headers, and the maximum bytes."""
    address_of: Callable[[str, int], str]
    """Returns an address of a host and port that may be connected to."""
    read: Callable[..., Any]
    """Reads a document in a separate process (`scheduler.documents.reader_process.ReaderProcesses.read`)."""
    trigger_id: UUID | None = None
    """The trigger of the check; None for a trial, which must change nothing."""
