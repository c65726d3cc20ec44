"""Stripe and Slack: an HMAC over a timestamp and the body, each in its own format."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.domain.signatures.model import (
    Rejected,
    SignedRequest,
    TimeWindow,
    any_equal,
    header,
    text_bytes,
    utf8_key,
)


def _hex_digests(keys: Sequence[bytes], signed: bytes) -> list[str]:
    return [hmac.digest(key, signed, "sha256").hex() for key in keys]


@dataclass(frozen=True, slots=True)
class Stripe:
    """`Stripe-Signature: t=UNIX,v1=HEX[,v1=HEX…]`, HMAC-SHA256 of `UNIX.BODY` with the entire `whsec_…` secret."""

    timestamped: bool = True

    def key(self, secret: str) -> bytes:
        """Returns the secret's text, including `whsec_`."""
        return utf8_key(secret)

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Requires one `t` and at least one valid `v1`; no other version counts (v0 is Stripe's test mode)."""
        pairs = [item.strip(" \t").partition("=") for item in header(request, "Stripe-Signature").split(",")]
        times = [value for name, _, value in pairs if name == "t"]
        given = [value for name, _, value in pairs if name == "v1"]
        if len(times) != 1 or not given:
            raise Rejected("Stripe-Signature does not have the form t=UNIX,v1=HEX")
        window.check(times[0])
        if not any_equal(given, _hex_digests(keys, text_bytes(times[0]) + b"." + request.body)):
            raise Rejected("Stripe-Signature has no v1 signature made with a known secret")


@dataclass(frozen=True, slots=True)
class Slack:
    """`X-Slack-Signature: v0=HEX`, HMAC-SHA256 of `v0:UNIX:BODY`, UNIX from `X-Slack-Request-Timestamp`."""

    timestamped: bool = True

    def key(self, secret: str) -> bytes:
        """Returns the app's signing secret as text."""
        return utf8_key(secret)

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Compares the single v0 signature."""
        timestamp = header(request, "X-Slack-Request-Timestamp")
        given = header(request, "X-Slack-Signature")
        window.check(timestamp)
        digests = _hex_digests(keys, b"v0:" + text_bytes(timestamp) + b":" + request.body)
        if not any_equal([given], [f"v0={digest}" for digest in digests]):
            raise Rejected("X-Slack-Signature is not a v0 signature made with a known secret")
