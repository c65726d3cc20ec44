"""What a look at a poll comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.triggers.looks import Document, Occurrence
from scheduler.triggers.poll import Seen


@dataclass(frozen=True, slots=True)
class Found:
    """The answer is good. `text` is the JSON of what is at the path, with the keys in order; empty for nothing."""

    seen: Seen
    text: str
    etag: str | None = None
    last_modified: str | None = None
    note: str | None = None
    """What there is to say of it, though all is well."""


@dataclass(frozen=True, slots=True)
class Sighted:
    """A look that knows by itself whether it fires. `text` is its cursor in JSON; `data` what to fire with, or None."""

    text: str
    data: Mapping[str, Any] | None
    note: str | None
    etag: str | None = None
    last_modified: str | None = None
    shown: Any = None
    """What a trial shows of a look that does not fire."""
    documents: Sequence[Document] = ()
    occurrences: Sequence[Occurrence] = ()
    settled: Callable[[Sequence[str]], None] | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """304: the answer is the one whose validators were sent."""


@dataclass(frozen=True, slots=True)
class LookFailed:
    """A look that failed. `retry_after`: seconds that the server asks to wait."""

    note: str
    retry_after: float | None = None
    was_put_off: bool = False
    """Whether the server has nothing against the request but its time (429 or 503 with Retry-After)."""


Look = Found | Sighted | Unchanged | LookFailed


@dataclass(frozen=True, slots=True)
class Validators:
    """What the server said about the answer seen last (RFC 9110 section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def headers(self) -> dict[str, str]:
        """Those that make a request conditional on the answer having changed (RFC 9110 section 13.1)."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value is not None}
