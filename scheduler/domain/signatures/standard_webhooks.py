"""Standard Webhooks (standardwebhooks.com): symmetric `v1`, asymmetric `v1a`, and our own outgoing signature."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook

from scheduler.domain.signatures.model import (
    Rejected,
    SignedRequest,
    TimeWindow,
    any_equal,
    b64,
    has_header,
    header,
    text_bytes,
    unb64,
)

SECRET_PREFIX = "whsec_"  # noqa: S105
_PUBLIC_PREFIX = "whpk_"
_PRIVATE_PREFIX = "whsk_"
_NEW_SECRET_BYTES = 32  # the specification asks for 24 to 64


def _signed_parts(request: SignedRequest, version: str, window: TimeWindow) -> tuple[list[str], bytes]:
    """Returns the signatures of one version in the header, and the content they must cover: `ID.TIMESTAMP.BODY`."""
    # Svix, where the standard originated, still sends the same three headers under its own name.
    legacy = not has_header(request, "webhook-signature") and has_header(request, "svix-signature")
    family = "svix" if legacy else "webhook"
    listed = header(request, f"{family}-signature")
    message_id = header(request, f"{family}-id")
    timestamp = header(request, f"{family}-timestamp")
    window.check(timestamp)
    items = [item.partition(",") for item in listed.split(" ")]
    given = [signature for name, comma, signature in items if comma and name == version]
    if not given:
        raise Rejected(f"{family}-signature has no signature of version {version}")
    return given, text_bytes(f"{message_id}.{timestamp}.") + request.body


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """`webhook-signature: v1,BASE64[ v1,BASE64…]`, HMAC-SHA256; the key is the decoded part after `whsec_`."""

    timestamped: bool = True

    def key(self, secret: str) -> bytes:
        """Decodes the base64 key; the prefix and the padding may be omitted."""
        if secret.startswith((_PUBLIC_PREFIX, _PRIVATE_PREFIX)):
            raise ValueError("is an Ed25519 key (whpk_, whsk_): use the scheme standard-webhooks-ed25519")
        try:
            key = unb64(secret.removeprefix(SECRET_PREFIX))
        except ValueError:
            raise ValueError("must be base64, after whsec_ if that is there (Standard Webhooks)") from None
        if not key:
            raise ValueError("must have a key after whsec_: anyone can forge signatures with an empty key")
        return key

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Compares each `v1` signature with each key's."""
        # The standardwebhooks package is not used to verify: it reads the process clock, decodes the body as UTF-8
        # and raises on a missing comma or bad base64. It is used for signing, below.
        given, signed = _signed_parts(request, "v1", window)
        if not any_equal(given, [b64(hmac.digest(key, signed, "sha256")) for key in keys]):
            raise Rejected("no v1 signature is made with a known secret")


@dataclass(frozen=True, slots=True)
class StandardWebhooksEd25519:
    """`webhook-signature: v1a,BASE64`, Ed25519 (RFC 8032); the secret is the public key, `whpk_` + base64."""

    timestamped: bool = True

    def key(self, secret: str) -> bytes:
        """Returns the 32 bytes of the public key."""
        if secret.startswith((SECRET_PREFIX, _PRIVATE_PREFIX)):
            raise ValueError("must be the public key (whpk_), which cannot sign; this one is secret")
        try:
            key = unb64(secret.removeprefix(_PUBLIC_PREFIX))
        except ValueError:
            raise ValueError("must be base64, after whpk_ if that is there (Standard Webhooks)") from None
        if len(key) != 32:
            raise ValueError(f"must be an Ed25519 public key of 32 bytes, this one has {len(key)}")
        return key

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Tries each `v1a` signature with each key; a `v1` signature never counts (the public key is not an HMAC
        secret).
        """
        given, signed = _signed_parts(request, "v1a", window)
        if not any(_ed25519_valid(key, signature, signed) for key in keys for signature in given):
            raise Rejected("no v1a signature is made with a known key")


def _ed25519_valid(key: bytes, signature: str, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign_standard_webhooks(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Returns the three headers for an outgoing call with a UTF-8 body; `timestamp` is in Unix seconds."""
    moment = datetime.fromtimestamp(timestamp, UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": Webhook(secret).sign(message_id, moment, body.decode("utf-8")),
    }


def new_standard_secret() -> str:
    """Creates a secret for Standard Webhooks: `whsec_` and the base64 of 32 random bytes."""
    return SECRET_PREFIX + b64(secrets.token_bytes(_NEW_SECRET_BYTES))
