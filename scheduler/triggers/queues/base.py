"""The interface of a message queue for its consumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import SplitResult

from scheduler.domain.errors import ReveilleError

SECONDS = 10.0
MAX_BYTES = 32 * 1024 * 1024
"""The size limit of everything that a check reads."""


class QueueUnreadable(ReveilleError):
    """The queue could not be read."""

    status = 502
    problem = "queue-unread"


class TooMuchData(ReveilleError):
    """A check would read too much."""

    status = 502
    problem = "queue-unread"


@dataclass(frozen=True, slots=True)
class QueueAddress:
    """The queue, its address, and its consumer."""

    url: SplitResult
    address: str
    """The checked address of the URL's host."""
    username: str | None
    password: str | None
    stream: str
    group: str
    is_shared: bool
    """Whether others may consume in the group too."""
    starts_with_all: bool
    """Whether a new group starts with the existing entries."""
    claim_seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `fields` None: it is too large to read."""

    id: str
    fields: Sequence[tuple[bytes, bytes]] | None


@dataclass(frozen=True, slots=True)
class TakenEntries:
    """The result of taking entries. They belong to the consumer until they are acknowledged."""

    entries: Sequence[Entry]
    cursor: Mapping[str, Any]
    """The cursor for the next check."""
    gone: int = 0
    """How many entries are known to have been removed before they could be read."""
    more: bool = False
    """Whether there may be more immediately."""


class Queue(Protocol):
    """A queue with one consumer. Each method raises QueueUnreadable."""

    def take(self, cursor: Mapping[str, Any] | None, most: int) -> TakenEntries:
        """Returns the consumer's unacknowledged entries, then new ones, up to `most`."""
        ...

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Acknowledges these entries."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Describes the queue without taking anything."""
        ...

    def close(self) -> None:
        """Disconnects."""
        ...


@dataclass(slots=True)
class Meter:
    """Counts the bytes that are read."""

    left: int = field(default=MAX_BYTES)

    def count(self, size: int) -> None:
        """Raises TooMuchData when a check has read too much."""
        self.left -= size
        if self.left < 0:
            raise TooMuchData(f"More than {MAX_BYTES} bytes arrived at once.")
