"""Twilio: HMAC-SHA1 over the called URL and the form fields, or over the URL alone if it contains the body's hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from scheduler.domain.signatures.model import (
    Rejected,
    SignedRequest,
    TimeWindow,
    any_equal,
    b64,
    has_header,
    header,
    text_bytes,
    utf8_key,
)

_FORM = "application/x-www-form-urlencoded"
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Twilio:
    """`X-Twilio-Signature: BASE64`; the account's auth token is the secret. No timestamp is signed."""

    timestamped: bool = False

    def key(self, secret: str) -> bytes:
        """Returns the auth token as text."""
        return utf8_key(secret)

    def check(self, request: SignedRequest, keys: Sequence[bytes], window: TimeWindow) -> None:
        """Compares with the URL as given, without its port, and with the default port: Twilio may sign any of
        these.
        """
        given = header(request, "X-Twilio-Signature")
        if request.url is None:
            raise Rejected("Twilio signs the URL it called, which is unknown")
        parts = _split(request.url)
        fields = _signed_fields(request, parts.query)
        signed = [text_bytes(url + fields) for url in _port_variants(request.url, parts)]
        expected = [b64(hmac.digest(key, content, "sha1")) for key in keys for content in signed]
        if not any_equal([given], expected):
            raise Rejected("X-Twilio-Signature does not sign this URL and these fields with a known secret")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Rejected("the URL that was called is not an http(s) URL")
    return parts


def _signed_fields(request: SignedRequest, query: str) -> str:
    """Joins names and values, sorted by name, without separators; empty when the URL contains the body's hash."""
    if request.params:
        return _joined(request.params)
    body_hash = parse_qs(query).get("bodySHA256")
    if body_hash:
        if not any_equal(body_hash, [hashlib.sha256(request.body).hexdigest()]):
            raise Rejected("the body is not the one whose hash bodySHA256 in the URL gives")
        return ""
    if _is_form(request):
        return _joined(parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    if request.body:
        raise Rejected("the body is not signed: it is not a form, and the URL has no bodySHA256")
    return ""


def _joined(params: Mapping[str, str | Sequence[str]]) -> str:
    parts: list[str] = []
    for name in sorted(params):
        value = params[name]
        values = [value] if isinstance(value, str) else sorted(set(value))
        parts += [name + text for text in values]
    return "".join(parts)


def _is_form(request: SignedRequest) -> bool:
    return has_header(request, "Content-Type") and header(request, "Content-Type").lower().startswith(_FORM)


def _port_variants(url: str, parts: SplitResult) -> list[str]:
    before = len(parts.scheme) + len("://")
    start, rest = url[:before], url[before + len(parts.netloc) :]
    bare = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return [url, f"{start}{bare}{rest}", f"{start}{bare}:{port}{rest}"]
