"""The possible results of checking a poll."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.triggers.looks import Document, Occurrence
from scheduler.triggers.poll import SeenValue


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A valid response. `text` is the JSON at the path, with sorted keys; empty for nothing."""

    seen: SeenValue
    text: str
    etag: str | None = None
    last_modified: str | None = None
    note: str | None = None
    """A remark on a successful check."""


@dataclass(frozen=True, slots=True)
class CheckDecision:
    """A check that decides itself whether to fire.

    `text` is its cursor in JSON; `data` the firing's data, or None.
    """

    text: str
    data: Mapping[str, Any] | None
    note: str | None
    etag: str | None = None
    last_modified: str | None = None
    shown: Any = None
    """What a trial shows when the check does not fire."""
    documents: Sequence[Document] = ()
    occurrences: Sequence[Occurrence] = ()
    settled: Callable[[Sequence[str]], None] | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """304: the response is the one whose validators were sent."""


@dataclass(frozen=True, slots=True)
class LookFailed:
    """The check failed. `retry_after`: the seconds that the server asks to wait."""

    note: str
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the server only asked to come back later (429 or 503 with Retry-After)."""


Look = FoundValue | CheckDecision | Unchanged | LookFailed


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of the last response (RFC 9110 section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Returns the headers that make a request conditional (RFC 9110 section 13.1)."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value is not None}
