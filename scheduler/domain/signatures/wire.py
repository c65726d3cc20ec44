"""Reads and compares received headers and encodings; shared by the schemes."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence

from scheduler.domain.signatures.model import Rejected, SignedRequest


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
