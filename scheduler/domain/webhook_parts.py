"""Selects what is kept of a delivery besides its body, and answers the handshakes of some senders."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote_plus

from scheduler.domain.signatures.delivery_ids import EVERYBODY
from scheduler.domain.webhook_body import is_packed

REDACTED = "[redacted]"
MAX_VALUE = 2_000
"""The most characters kept of a header and of the query string."""
MAX_ECHO = 4_096
"""The most characters that are echoed; no sender needs as many."""
MAX_HANDSHAKE = 8_192
"""The largest body that is checked for a handshake."""

_SECRET = re.compile(
    r"auth|cookie|secret|token|passw|passphrase|credential|signature|hmac|session|jwt|api[-_.]?key|access[-_.]?key"
    r"|(?:^|[-_.])(?:sig|key|code|pwd|sign|otp)(?:$|[-_.])",
    re.IGNORECASE,
)

Challenge = Literal[
    "azure-event-grid", "dropbox", "meta", "microsoft-graph", "monday", "okta", "slack", "strava", "websub"
]


@dataclass(frozen=True, slots=True)
class Echo:
    """The response that a sender expects when it verifies the address."""

    text: str
    content_type: str = "text/plain"


def kept_parts(
    headers: Mapping[str, str], query: str, names: Collection[str], signed_by: str | None, *, redact: bool
) -> dict[str, Any] | None:
    """Returns the named headers, the query string and the body's encoding; None when there is nothing to keep.

    Names in `headers` are lower case. `redact` removes values that are secret by name or listed in `signed_by`.
    """
    kept: dict[str, Any] = {}
    for name in (*names, *(["Content-Encoding"] if is_packed(headers) else [])):
        value = headers.get(name.lower())
        if value is not None:
            hidden = redact and (is_secret(name) or name.lower() == (signed_by or "").lower())
            kept.setdefault(name, REDACTED if hidden else value[:MAX_VALUE])
    parts: dict[str, Any] = {"headers": kept} if kept else {}
    if query:
        parts["query"] = (_redacted_query(query) if redact else query)[:MAX_VALUE]
    return parts or None


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this name usually holds a secret."""
    return name.lower() not in EVERYBODY and _SECRET.search(name) is not None


def echo_of_post(challenge: str | None, query: str, headers: Mapping[str, str], body: bytes) -> Echo | None:
    """Returns the echo that a POST requests under this preset; None for a delivery."""
    if challenge == "microsoft-graph":
        return _text(_parameter(query, "validationtoken"))
    if challenge not in ("slack", "monday", "azure-event-grid") or len(body) > MAX_HANDSHAKE:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if challenge == "azure-event-grid":
        return _event_grid(document, headers)
    if not isinstance(document, dict) or not isinstance(document.get("challenge"), str):
        return None
    if challenge == "slack":
        return _text(document["challenge"]) if document.get("type") == "url_verification" else None
    return _json("challenge", document["challenge"]) if set(document) == {"challenge"} else None


def echo_of_get(challenge: str | None, query: str, headers: Mapping[str, str]) -> Echo | None:
    """Returns the echo that a GET requests under this preset."""
    if challenge in ("meta", "websub"):
        return _text(_parameter(query, "hub.challenge"))
    if challenge == "strava":
        return _json("hub.challenge", _parameter(query, "hub.challenge"))
    if challenge == "dropbox":
        return _text(_parameter(query, "challenge"))
    if challenge == "microsoft-graph":
        return _text(_parameter(query, "validationtoken"))
    if challenge == "okta":
        return _json("verification", headers.get("x-okta-verification-challenge"))
    return None


def _event_grid(document: object, headers: Mapping[str, str]) -> Echo | None:
    if headers.get("aeg-event-type") != "SubscriptionValidation":
        return None
    event = document[0] if isinstance(document, list) and document else None
    data = event.get("data") if isinstance(event, dict) else None
    code = data.get("validationCode") if isinstance(data, dict) else None
    return _json("validationResponse", code) if isinstance(code, str) else None


def _parameter(query: str, name: str) -> str | None:
    """Returns a query parameter, with its name in any case."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None
    return next((value for key, value in pairs if key.lower() == name), None)


def _text(value: str | None) -> Echo | None:
    return Echo(value) if value is not None and len(value) <= MAX_ECHO else None


def _json(member: str, value: str | None) -> Echo | None:
    if value is None or len(value) > MAX_ECHO:
        return None
    return Echo(json.dumps({member: value}), "application/json")


def _redacted_query(query: str) -> str:
    """Returns the query string with the values of secret parameters removed."""
    parts = []
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        parts.append(f"{name}={quote(REDACTED, safe='[]')}" if equals and is_secret(unquote_plus(name)) else part)
    return "&".join(parts)
