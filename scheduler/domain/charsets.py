"""Decodes external bytes: by declared charset, by byte order mark, or by trial."""

from __future__ import annotations

import codecs
import functools
import json
import re
from collections.abc import Iterator
from email.message import Message

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What these names mean on the web (https://encoding.spec.whatwg.org): the larger set that servers really send.
_MEANT = {
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_NOT_CHARSETS = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf-7"})
"""Python codecs that are not document charsets."""
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def decode(data: bytes, content_type: str | None = None, *, is_cut: bool = False) -> str | None:
    """Decodes `data` without its byte order mark;

    None when it is not text. `is_cut`: it may end within a character.
    """
    text = decode_strictly(data, content_type, is_cut=is_cut)
    if text is not None or _BINARY.search(data):
        return text
    # Other text on the web is windows-1252; latin-1 covers the five bytes that it leaves undefined.
    return _decoded(data, "cp1252", is_cut) or data.decode("latin-1")


def decode_strictly(data: bytes, content_type: str | None = None, *, is_cut: bool = False) -> str | None:
    """Decodes `data` by byte order mark, declared charset or UTF-8, without guessing; None when that fails."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            text = _decoded(data[len(mark) :], name, is_cut)
            if text is not None:
                return text
    for name in _candidates(data, content_type):
        text = _decoded(data, name, is_cut)
        if text is not None:
            return text
    return None


@functools.lru_cache(maxsize=1024)  # cached: to parse it takes longer than to decode a short answer
def charset_of(content_type: str | None) -> str | None:
    """Returns Python's codec name for the charset declared in a Content-Type, if any."""
    header = Message()
    header["content-type"] = (content_type or "").encode("ascii", "replace").decode("ascii")
    declared = header.get_param("charset")
    try:
        name = codecs.lookup(str(declared).strip("'\" ")).name if declared else "undefined"
        "a".encode("utf-8" if name in _NOT_CHARSETS else name)  # fails for bytes-to-bytes codecs such as base64
    except (LookupError, ValueError):
        return None
    return None if name in _NOT_CHARSETS else _MEANT.get(name, name)


def _candidates(data: bytes, content_type: str | None) -> Iterator[str]:
    declared = charset_of(content_type)
    if declared:
        yield declared
    if data[:1].strip() in (b"{", b"[", b'"', b"\x00") and b"\x00" in data[:4]:
        yield json.detect_encoding(data)
    yield "utf-8"


def _decoded(data: bytes, name: str, is_cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(name)("strict").decode(data, final=not is_cut)
    except UnicodeError:
        return None
