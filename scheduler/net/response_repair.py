"""Repairs malformed response headers, and the framing of chunked responses, so that a strict parser accepts them.

A space before a colon must not turn a complete response into a failure: the server has already done the work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
MAX_LINE_BYTES = 4096
"""A longer chunk-size line is left unchanged, so that the parser refuses it."""
MAX_HEAD_BYTES = 64 * 1024
"""A longer header block is left unchanged, so that the parser refuses it."""

_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+)[ \t]*:(.*)", re.DOTALL)
_STATUS = re.compile(rb"^(HTTP/[0-9]\.[0-9])[ \t]+([0-9]{3})[ \t]*(?:[\x00-\x1f]*)")
_NOT_IN_VALUES = re.compile(rb"[\x00\x0b\x0c\r]")
_INTERIM = re.compile(rb"HTTP/1\.[0-9] 1(?!01)[0-9][0-9]\b")
_LENGTH = re.compile(rb"\+?([0-9]{1,18})(?:[ \t]*,[ \t]*\+?([0-9]{1,18}))*")
_CHUNKED = re.compile(rb"^transfer-encoding: chunked\r?$", re.IGNORECASE | re.MULTILINE)
_FRAMING = (b"transfer-encoding", b"content-length")


class Chunks:
    """Reframes a chunked body as it arrives, with the same bytes but without extensions and trailers.

    A malformed trailer must not turn a complete response into a failure, and nobody reads trailers here.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._left = 0
        self._is_in_data = False
        self._is_over = False
        self._is_strange = False

    def feed(self, data: bytes) -> bytes:
        """Returns what is known of the body after these bytes, in chunks that RFC 9112 allows; empty if nothing
        is.
        """
        if self._is_over:
            return b""
        self._pending += data
        out = b""
        while self._pending and not (self._is_over or self._is_strange):
            piece = self._data() if self._is_in_data else self._size()
            if piece is None:
                return out
            out += piece
        if self._is_strange:
            out, self._pending = out + self._pending, b""
        return out

    def _data(self) -> bytes:
        piece = self._pending[: self._left]
        self._pending = self._pending[len(piece) :]
        self._left -= len(piece)
        self._is_in_data = self._left > 0
        return piece if self._is_in_data else piece + b"\r\n"

    def _size(self) -> bytes | None:
        """Returns the line before a chunk;

        None while it is incomplete. It may follow the line end of the previous chunk.
        """
        line, end, rest = self._pending.lstrip(b"\r\n").partition(b"\n")
        if not end and len(line) <= MAX_LINE_BYTES:
            return None
        size = _SIZE.fullmatch(line.rstrip(b"\r"))
        if size is None or not end:
            self._is_strange = True
            return b""
        self._pending = rest
        self._left = int(size[1], 16)
        self._is_in_data = self._left > 0
        self._is_over = not self._is_in_data
        return b"%x\r\n" % self._left if self._is_in_data else b"0\r\n\r\n"


def tidy_head(head: bytes) -> bytes:
    """Rewrites a header block, without its final empty line, to lines that RFC 9112 allows, with the same fields.

    Removes blanks before a colon (section 5.1), replaces control characters in values by blanks (RFC 9110 section
    5.5), and drops lines that are not fields, with their continuations. Transfer codings other than chunked are
    treated as content codings, which are decoded afterwards. An invalid length is dropped: the body then ends with
    the connection, which carries nothing else.
    """
    status, *lines = re.split(rb"\r?\n", head)
    fields = _fields(lines)
    others = [field for field in fields if field[0].lower() not in _FRAMING]
    return b"\r\n".join(
        [_STATUS.sub(rb"\1 \2 ", status), *(name + b": " + value for name, value in [*others, *_framed(fields)])]
    )


def _fields(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Returns the name and value of each field, with continuation lines joined."""
    fields: list[tuple[bytes, bytes]] = []
    is_kept = False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if is_kept:
                name, value = fields[-1]
                fields[-1] = name, (value + b" " + _NOT_IN_VALUES.sub(b" ", line).strip()).strip()
            continue
        match = _FIELD.fullmatch(line)
        is_kept = match is not None
        if match is not None:
            fields.append((match[1], _NOT_IN_VALUES.sub(b" ", match[2]).strip()))
    return fields


def _framed(fields: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Returns the fields that frame the body, as far as they are valid."""
    codings = [each.strip() for each in _all(fields, b"transfer-encoding").lower().split(b",")]
    others = [each for each in codings if each not in (b"", b"identity", b"chunked")]
    if others:
        yield b"Content-Encoding", b", ".join(others)
    if b"chunked" in codings:
        yield b"Transfer-Encoding", b"chunked"
        return
    length = _LENGTH.fullmatch(_all(fields, b"content-length"))
    if length and not others and len({int(each) for each in re.findall(rb"[0-9]+", length[0])}) == 1:
        yield b"Content-Length", length[1]


def _all(fields: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    return b", ".join(value for name, value in fields if name.lower() == wanted)


class HeadTidier:
    """Repairs headers in a stream of bytes until the final response's.

    After that it reframes a chunked body, and leaves any other unchanged.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._is_past = False
        self._chunks: Chunks | None = None

    def tidy(self, data: bytes) -> bytes:
        """Returns what is complete after `data`: nothing while a header block is not.

        Without data, returns the rest.
        """
        if self._is_past:
            return data if self._chunks is None or not data else self._chunks.feed(data)
        self._head += data
        if data:
            return self._tidied()
        self._is_past = True
        return bytes(self._head)

    def _tidied(self) -> bytes:
        out = b""
        self._head = self._head.lstrip(b"\r\n")  # empty lines before a response
        while not self._is_past and (end := _END.search(self._head)):
            head = bytes(self._head[: end.start()])
            del self._head[: end.end()]
            self._is_past = not _INTERIM.match(head)
            tidy = tidy_head(head)
            out += tidy + b"\r\n\r\n"
            if self._is_past and _CHUNKED.search(tidy):
                self._chunks = Chunks()
        if self._is_past or len(self._head) > MAX_HEAD_BYTES:
            self._is_past = True
            rest = bytes(self._head)
            out += rest if self._chunks is None else self._chunks.feed(rest)
            self._head.clear()
        return out
