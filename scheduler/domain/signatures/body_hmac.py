"""Schemes over the raw body only: GitHub, Shopify, any plain HMAC; and GitLab's token, which does not cover the
body.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scheduler.domain.signatures.model import Rejected, SignedRequest, TimeWindow, any_equal, b64, header, utf8_key

Algorithm = Literal["sha1", "sha256", "sha384", "sha512"]
Encoding = Literal["hex", "base64"]


@dataclass(frozen=True, slots=True)
class BodyHmac:
    """HMAC(secret, body) in one header, as `prefix` + hex or base64.

    `encoding` or `prefix` None: every usual form is accepted (hex in either case, base64; bare or after
    `sha256=`), which is safe, since each is a full digest. `listed`: the header may hold several signatures
    separated by commas.
    """

    header: str
    algorithm: Algorithm = "sha256"
    encoding: Encoding | None = "hex"
    prefix: str | None = ""
    listed: bool = False
    timestamped: bool = False

    def key(self, secret: str) -> bytes:
        """Returns the secret's text as the key."""
        return utf8_key(secret)

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Compares the header with each form of the body's digest."""
        value = header(request, self.header)
        given = [value, *(part.strip(" \t") for part in value.split(","))] if self.listed else [value]
        expected = [form for key in keys for form in self._forms(hmac.digest(key, request.body, self.algorithm))]
        if not any_equal(given, expected):
            raise Rejected(f"{self.header} has no valid signature of the body")

    def _forms(self, digest: bytes) -> list[str]:
        encoded = {
            "hex": [digest.hex()],
            "base64": [b64(digest)],
            None: [digest.hex(), digest.hex().upper(), b64(digest)],
        }[self.encoding]
        prefixes = ["", f"{self.algorithm}="] if self.prefix is None else [self.prefix]
        return [prefix + text for prefix in prefixes for text in encoded]


@dataclass(frozen=True, slots=True)
class SharedToken:
    """The secret itself in a header: it proves who sent the delivery, not that the body is unchanged."""

    header: str
    timestamped: bool = False

    def key(self, secret: str) -> bytes:
        """Returns the secret's text; it must pass through a header unchanged (RFC 9110 section 5.5)."""
        if not (secret.isascii() and secret.isprintable() and secret == secret.strip()):
            raise ValueError("must be printable ASCII without spaces around it, as it is sent in a header")
        return utf8_key(secret)

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Compares the header with each token."""
        if not any_equal([header(request, self.header)], [key.decode("utf-8") for key in keys]):
            raise Rejected(f"{self.header} is not a known token")
