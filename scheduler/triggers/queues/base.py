"""What a queue is to its consumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import SplitResult

from scheduler.domain.errors import ReveilleError

SECONDS = 10.0
MAX_BYTES = 32 * 1024 * 1024
"""Of all that a look reads."""


class QueueUnread(ReveilleError):
    """The queue could not be read."""

    status = 502
    problem = "queue-unread"


class TooMuch(ReveilleError):
    """More came than a look reads."""

    status = 502
    problem = "queue-unread"


@dataclass(frozen=True, slots=True)
class Place:
    """Which queue, where it is, and who asks."""

    url: SplitResult
    address: str
    """That was admitted, of the URL's host."""
    username: str | None
    password: str | None
    stream: str
    group: str
    is_shared: bool
    """Whether others may consume in the group too."""
    starts_with_all: bool
    """Whether a group that is made takes what is in the stream already."""
    claim_seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `fields` None: it is too large to be read."""

    id: str
    fields: Sequence[tuple[bytes, bytes]] | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a look got. The entries stay the consumer's until they are acknowledged."""

    entries: Sequence[Entry]
    cursor: Mapping[str, Any]
    """What the next look is given."""
    gone: int = 0
    """Entries that were there, as far as is known, and were removed before they could be read."""
    more: bool = False
    """Whether there may be more at once."""


class Queue(Protocol):
    """A queue with one consumer. Each method raises QueueUnread."""

    def take(self, cursor: Mapping[str, Any] | None, most: int) -> Taken:
        """What the consumer got before and did not acknowledge, then what is new: up to `most` entries."""
        ...

    def acknowledge(self, ids: Sequence[str]) -> None:
        """Say that these entries are done with."""
        ...

    def sight(self) -> Mapping[str, Any]:
        """What there is to see, without taking anything."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


@dataclass(slots=True)
class Meter:
    """Counts what is read."""

    left: int = field(default=MAX_BYTES)

    def count(self, size: int) -> None:
        """Raise TooMuch when there was more than a look reads."""
        self.left -= size
        if self.left < 0:
            raise TooMuch(f"More than {MAX_BYTES} bytes came at once.")
