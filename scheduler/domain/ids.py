"""Identifiers: UUIDv7 (RFC 9562 §5.7), so that ids sort by the time they were made."""

from __future__ import annotations

import secrets
from hashlib import sha256
from uuid import UUID

from uuid_utils import compat

from scheduler.domain.errors import NotFound


def new_id() -> UUID:
    """A new UUIDv7."""
    return compat.uuid7()


def parse_id(text: str, what: str) -> UUID:
    """The UUID in `text`; NotFound when it is none, for no such `what` can exist then."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"There is no {what} {text!r}.") from None


def new_token(bits: int = 128) -> str:
    """A random URL-safe token of at least `bits` bits."""
    return secrets.token_urlsafe((bits + 7) // 8)


def token_hash(token: str) -> bytes:
    """What is stored of a token: one plain SHA-256, since a random token is in no dictionary."""
    return sha256(token.encode()).digest()
