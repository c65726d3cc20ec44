"""The header Idempotency-Key of requests that create something."""

from __future__ import annotations

import json
from hashlib import sha256

from flask import request

from api.auth import caller
from scheduler.domain.errors import InvalidField
from scheduler.storage.idempotency import KeyedRequest

HEADER = "Idempotency-Key"
LONGEST = 255


def keyed_request(target: str, content: object = None) -> KeyedRequest | None:
    """Returns the current request's key; None without one. `target`: what it does to what; `content`: its content.

    Raises InvalidField for a key that is empty, too long, or contains invisible characters.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    key = key.strip()
    if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise InvalidField(f"{HEADER} must have 1 to {LONGEST} visible ASCII characters.", field=HEADER)
    who = caller()
    digest = sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
    return KeyedRequest(who.tenant_id, f"{who.kind}:{who.key_id}", target, key, digest)
