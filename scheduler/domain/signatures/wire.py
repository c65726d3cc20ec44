"""Reading and comparing what came over the wire, shared by the schemes."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence

from scheduler.domain.signatures.model import Rejected, SignedRequest


def header(request: SignedRequest, name: str) -> str:
    """The value of the one header of this name (any case), without surrounding whitespace; never empty."""
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
    """Whether a header of this name (any case) came at all."""
    return any(key.lower() == name.lower() for key in request.headers)


def text_bytes(text: str) -> bytes:
    """UTF-8, also of lone surrogates: `compare_digest` refuses non-ASCII str, and encoding must not raise."""
    return text.encode("utf-8", "surrogatepass")


def any_equal(given: Iterable[str], expected: Sequence[str]) -> bool:
    """Whether some given text equals some expected one, in a time that does not tell how nearly."""
    wanted = [text_bytes(text) for text in expected]
    results = [hmac.compare_digest(text_bytes(text), want) for text in given for want in wanted]
    return any(results)


def b64(data: bytes) -> str:
    """Standard base64 as text."""
    return base64.b64encode(data).decode("ascii")


def unb64(text: str) -> bytes:
    """Decode standard base64, padded or not. ValueError on any other character (b64decode alone skips them)."""
    bare = text.rstrip("=")
    if "=" in bare or len(text) - len(bare) > 2:
        raise ValueError("not base64")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def utf8_key(secret: str) -> bytes:
    """The key of schemes that use the secret's text whole, any prefix included."""
    try:
        return secret.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode text") from None
