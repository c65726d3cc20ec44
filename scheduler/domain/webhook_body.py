"""The body of a webhook's delivery as its sender meant it: unpacked, and read as JSON or as a form."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

MAX_UNPACKED = 4 * 1024 * 1024
"""Bytes that a packed body may have when it is unpacked."""
MAX_FORM_FIELDS = 1_000
FORM = "application/x-www-form-urlencoded"
_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}  # zlib: 16 more for gzip's frame, 32 more for either


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether a Content-Encoding is named. Names in `headers` are lower case."""
    return headers.get("content-encoding", "identity").strip().lower() not in ("", "identity", "none")


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body without its Content-Encoding, gzip or deflate; ValueError for another, a broken or a huge one."""
    if not is_packed(headers):
        return body
    name = headers["content-encoding"].strip().lower()
    if name not in _WINDOW_BITS:
        raise ValueError(f"its Content-Encoding is {name[:50]!r}, not gzip or deflate")
    unpacker = zlib.decompressobj(_WINDOW_BITS[name])
    try:
        whole = unpacker.decompress(body, MAX_UNPACKED + 1)
    except zlib.error:
        raise ValueError(f"its Content-Encoding says {name}, and it is none") from None
    if len(whole) > MAX_UNPACKED:
        raise ValueError(f"it is larger than {MAX_UNPACKED} bytes when it is unpacked")
    if not unpacker.eof:
        raise ValueError(f"its {name} is cut off")
    return whole


def readable(body: bytes | None, parts: Mapping[str, Any] | None) -> bytes | None:
    """A firing's payload as its agent reads it: unpacked, if it was packed and can be unpacked.

    `parts`: what beside its body was kept of the delivery.
    """
    named = (parts or {}).get("headers")
    if body is None or not isinstance(named, Mapping):
        return body
    try:
        return unpacked({str(name).lower(): str(value) for name, value in named.items()}, body)
    except ValueError:
        return body


def document_of(headers: Mapping[str, str], body: bytes) -> Any:
    """The JSON document in a body; ValueError, saying why, when there is none.

    A form stands for the JSON of its field `payload` (so GitHub and Slack send it), or else for an object of its
    fields; a field that comes several times is a list.
    """
    plain = unpacked(headers, body)
    if headers.get("content-type", "").split(";")[0].strip().lower() == FORM:
        return _form(plain)
    try:
        return json.loads(plain)
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
            pass  # a field that is only called so
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
