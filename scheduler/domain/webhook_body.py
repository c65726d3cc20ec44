"""Decodes the body of a webhook delivery: decompresses it and reads it as JSON or as a form."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from scheduler.domain.charsets import decode_strictly

MAX_UNPACKED = 4 * 1024 * 1024
"""The most bytes that a compressed body may decompress to."""
MAX_CODINGS = 2
MAX_MEMBERS = 100
MAX_FORM_FIELDS = 1_000
FORM = "application/x-www-form-urlencoded"
_PACKINGS = frozenset({"gzip", "x-gzip", "deflate"})
_OTHER_CODINGS = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"}
)
_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether a Content-Encoding is given. Names in `headers` are lower case."""
    return bool(_codings(headers))


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """Decodes gzip and deflate; raises ValueError for other codings and for broken or oversized bodies."""
    codings = _codings(headers)
    if len(codings) > MAX_CODINGS:
        raise ValueError(f"its Content-Encoding names more than {MAX_CODINGS} codings")
    for coding in reversed(codings):
        if coding not in _PACKINGS:
            raise ValueError(f"its Content-Encoding is {coding!r}, not gzip or deflate")
        body = _unpacked_once(coding, body)
    return body


def _codings(headers: Mapping[str, str]) -> list[str]:
    """Returns the codings in the order they were applied. Names that are not codings (none, UTF-8) are ignored."""
    named = [part.strip() for part in headers.get("content-encoding", "").lower().split(",")]
    return [each for each in named if each in _PACKINGS or each in _OTHER_CODINGS]


def _unpacked_once(coding: str, body: bytes) -> bytes:
    """Decodes gzip (RFC 1952, including multiple members) and deflate (RFC 1950, or raw RFC 1951 as some servers
    send).
    """
    whole, left = bytearray(), body
    for member in range(MAX_MEMBERS):
        unpacker = zlib.decompressobj(_window(coding, left))
        try:
            whole += unpacker.decompress(left, MAX_UNPACKED + 1 - len(whole))
        except zlib.error:
            if member:  # ignore anything after the last member
                return bytes(whole)
            raise ValueError(f"it is not {coding}, although its Content-Encoding says so") from None
        if len(whole) > MAX_UNPACKED:
            raise ValueError(f"it is larger than {MAX_UNPACKED} bytes when it is unpacked")
        if not unpacker.eof:
            raise ValueError(f"its {coding} is cut off")
        left = unpacker.unused_data
        if not left:
            return bytes(whole)
    raise ValueError(f"its {coding} has more than {MAX_MEMBERS} parts")


def _window(coding: str, data: bytes) -> int:
    if coding != "deflate" or data[:2] == b"\x1f\x8b":
        return _GZIP
    return _ZLIB if data[:1] and data[0] & 15 == 8 else _RAW


def readable(body: bytes | None, parts: Mapping[str, Any] | None) -> bytes | None:
    """Returns a firing's payload as its agent reads it, decompressed if possible.

    `parts`: what was kept of the delivery besides its body.
    """
    named = (parts or {}).get("headers")
    if body is None or not isinstance(named, Mapping):
        return body
    try:
        return unpacked({str(name).lower(): str(value) for name, value in named.items()}, body)
    except ValueError:
        return body


def document_of(headers: Mapping[str, str], body: bytes) -> Any:
    """Returns the JSON document in a body; raises ValueError with the reason when there is none.

    A form stands for the JSON in its field `payload` (as GitHub and Slack send it), or else for an object of its
    fields; a repeated field becomes a list.
    """
    plain = unpacked(headers, body)
    content_type = headers.get("content-type", "")
    if content_type.split(";")[0].strip().lower() == FORM:
        return _form(plain)
    try:
        return json.loads(decode_strictly(plain, content_type) or "")
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _form(body: bytes) -> Any:
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise ValueError(f"it is not a form of at most {MAX_FORM_FIELDS} fields") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    if len(fields.get("payload", ())) == 1:
        try:
            return json.loads(fields["payload"][0])
        except (ValueError, RecursionError):
            pass  # a field that merely has this name
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
