"""The interface of signature schemes: request, verdict, what a scheme provides, and how received headers are read."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping, Sequence
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


def header(request: SignedRequest, name: str) -> str:
    """Returns the value of the only header of this name (any case), without surrounding whitespace; never empty."""
    values = [value for key, value in request.headers.items() if key.lower() == name.lower()]
    if not values:
        raise Rejected(f"the header {name} is missing")
    if len(values) > 1:
        raise Rejected(f"the header {name} came more than once")
    value = values[0].strip(" \t")
    if not value:
        raise Rejected(f"the header {name} is empty")
    return value


def has_header(request: SignedRequest, name: str) -> bool:
    """Whether a header of this name (any case) was sent."""
    return any(key.lower() == name.lower() for key in request.headers)


def text_bytes(text: str) -> bytes:
    """Encodes as UTF-8, including lone surrogates: `compare_digest` refuses non-ASCII str, and encoding must not
    raise.
    """
    return text.encode("utf-8", "surrogatepass")


def any_equal(given: Iterable[str], expected: Sequence[str]) -> bool:
    """Whether any given text equals any expected one, in constant time."""
    wanted = [text_bytes(text) for text in expected]
    results = [hmac.compare_digest(text_bytes(text), want) for text in given for want in wanted]
    return any(results)


def b64(data: bytes) -> str:
    """Encodes standard base64 as text."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Decodes standard base64, padded or not. Raises ValueError on other characters, which b64decode would skip."""
    bare = text.rstrip("=")
    if "=" in bare or len(text) - len(bare) > 2:
        raise ValueError("not base64")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def utf8_key(secret: str) -> bytes:
    """Returns the key of schemes that use the secret's entire text, including any prefix."""
    try:
        return secret.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text") from None
