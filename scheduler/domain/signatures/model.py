"""The interface of signature schemes: the request, the verdict, and what a scheme provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A received delivery.

    `headers`: names in any case; a name that occurs twice (in two cases) is ambiguous and refused. `body`: the raw
    bytes, before any parsing. `url`: the public URL the provider called (scheme, host and query as it saw them);
    only Twilio signs it. `params`: form fields if the caller has parsed them; None: read from a form body when a
    scheme needs them.
    """

    headers: Mapping[str, str]
    body: bytes
    url: str | None = None
    params: Mapping[str, str | Sequence[str]] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a delivery. `reason` is one line for people and never contains a secret or a signature."""

    accepted: bool
    reason: str


class Rejected(Exception):
    """A delivery is refused; the message is the reason. `verify` catches it: it never leaves this package."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The verifier's clock (Unix seconds) and how far a signed timestamp may differ from it (seconds)."""

    now: float
    tolerance: float

    def check(self, timestamp: str) -> None:
        """Refuses a timestamp that is not plain Unix seconds or is outside the window in either direction."""
        # ASCII digits only: int() and float() also take "٣", "1_0", "nan" and "1e9".
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise Rejected("the timestamp is not a number of unix seconds")
        age = self.now - int(timestamp)
        if abs(age) > self.tolerance:
            side = "old" if age > 0 else "far in the future"
            raise Rejected(f"the timestamp is too {side}: {abs(age):.0f} s, allowed are {self.tolerance:.0f} s")


class Scheme(Protocol):
    """How a family of providers signs. Stateless; shared by all triggers and threads."""

    @property
    def timestamped(self) -> bool:
        """Whether a timestamp is signed, so that a tolerance applies."""
        ...

    def key(self, secret: str) -> bytes:
        """Returns the key for a secret (never blank) as the provider shows it.

        Raises ValueError, naming the rule, if unusable.
        """
        ...

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Returns if a signature with one of the keys covers the request; raises Rejected otherwise."""
        ...
