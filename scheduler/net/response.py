"""Reads responses of HTTP/1.1 from bytes as they arrive (RFC 9112), leniently: what is malformed but clear is taken.

A space before a colon must not turn a complete response into a failure: the server has already done the work. Strict
parsers refuse such responses, so this one takes their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import httpx

MAX_LINE_BYTES = 4096
"""A longer line before a chunk is refused."""
MAX_HEAD_BYTES = 64 * 1024
"""A longer header block is refused."""

_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+)[ \t]*:(.*)", re.DOTALL)
_STATUS = re.compile(rb"HTTP/([0-9]\.[0-9])[ \t]+([1-9][0-9]{2})(.*)", re.DOTALL)
_NOT_IN_VALUES = re.compile(rb"[\x00\x0b\x0c\r]")
_LENGTH = re.compile(rb"\+?([0-9]{1,18})(?:[ \t]*,[ \t]*\+?([0-9]{1,18}))*")
_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_CLOSE = re.compile(rb"(?:.*,)?[ \t]*close[ \t]*(?:,.*)?", re.IGNORECASE)
_FRAMING = (b"transfer-encoding", b"content-length")

Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """The status and the fields of a response.

    `fields` are such as RFC 9112 allows: transfer codings other than chunked are shown as content codings, and an
    invalid length is left out.
    """

    status: int
    version: bytes
    reason: bytes
    fields: list[Field]

    @property
    def keeps_alive(self) -> bool:
        """Whether the server may take another request on the connection (RFC 9112 section 9.3)."""
        return self.version == b"1.1" and not _CLOSE.fullmatch(_all(self.fields, b"connection"))


class Body(Protocol):
    """A body that arrives in pieces."""

    is_complete: bool

    @property
    def is_followed(self) -> bool:
        """Whether another response may follow a complete one: nothing has come that belongs to neither."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Returns what these bytes add to the body."""
        ...

    def missing_at_end(self) -> str | None:
        """Returns what is missing when the connection ends; None if that ends the body."""
        ...


class ResponseReader:
    """Reads the response to one request with `method`."""

    def __init__(self, method: str) -> None:
        self.head: Head | None = None
        """The head of the final response, once it is there."""
        self.is_complete = False
        self.is_followed = False
        """Whether another request may be sent on the connection: the response is complete and allows it."""
        self._method = method
        self._head = bytearray()
        self._body: Body = _Length(0)

    def feed(self, data: bytes) -> bytes:
        """Returns what these bytes add to the body. Raises httpx.RemoteProtocolError for what is not HTTP."""
        if self.is_complete:
            self.is_followed = False  # nobody asked for more
            return b""
        if self.head is None:
            self._head += data
            data = self._past_heads()
            if self.head is None:
                return b""
        piece = self._body.feed(data)
        if self._body.is_complete:
            self.is_complete = True
            self.is_followed = self._body.is_followed and self.head.keeps_alive
        return piece

    @property
    def has_begun(self) -> bool:
        """Whether anything of the response has come."""
        return self.head is not None or bool(self._head)

    def end(self) -> None:
        """Notes that the connection has ended. Raises httpx.RemoteProtocolError if the response is incomplete."""
        if self.head is None:
            raise httpx.RemoteProtocolError(
                "Server disconnected without sending a response."
                if not self.has_begun
                else "The head is incomplete."
            )
        missing = None if self.is_complete else self._body.missing_at_end()
        if missing is not None:
            raise httpx.RemoteProtocolError(
                f"peer closed connection without sending complete message body ({missing})"
            )
        self.is_complete, self.is_followed = True, False

    def _past_heads(self) -> bytes:
        """Reads the heads that have arrived, up to the final one; returns what follows it."""
        while True:
            while self._head.startswith((b"\r", b"\n")):  # empty lines before a response
                del self._head[:1]
            end = _END.search(self._head)
            if len(self._head if end is None else self._head[: end.start()]) > MAX_HEAD_BYTES:
                raise httpx.RemoteProtocolError("The head of the response is too long.")
            if end is None:
                return b""
            head = read_head(bytes(self._head[: end.start()]))
            del self._head[: end.end()]
            if head.status == httpx.codes.SWITCHING_PROTOCOLS:
                raise httpx.RemoteProtocolError("The server switches to another protocol.")
            if head.status >= httpx.codes.OK:
                self.head, self._body = head, _body_of(head, self._method)
                return bytes(self._head)


def read_head(head: bytes) -> Head:
    """Reads a header block without its final empty line.

    Takes blanks before a colon (section 5.1), replaces control characters in values by blanks (RFC 9110 section 5.5),
    and drops lines that are not fields, with their continuations.
    """
    first, *lines = _LINE_END.split(head)
    status = _STATUS.fullmatch(first)
    if status is None:
        raise httpx.RemoteProtocolError("The response does not begin with a status line.")
    fields = _fields(lines)
    framed = [*_framed(fields)]
    others = [field for field in fields if field[0].lower() not in _FRAMING]
    return Head(int(status[2]), status[1], status[3].strip(), [*others, *framed])


def _fields(lines: Iterable[bytes]) -> list[Field]:
    """Returns the name and value of each field, with continuation lines joined."""
    fields: list[Field] = []
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


def _framed(fields: Iterable[Field]) -> Iterator[Field]:
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


def _all(fields: Iterable[Field], wanted: bytes) -> bytes:
    return b", ".join(value for name, value in fields if name.lower() == wanted)


def _body_of(head: Head, method: str) -> Body:
    """Decides how the body is framed (RFC 9112 section 6.3)."""
    if method == "HEAD" or head.status in (httpx.codes.NO_CONTENT, httpx.codes.NOT_MODIFIED):
        return _Length(0)
    if _all(head.fields, b"transfer-encoding"):
        return _Chunked()
    length = _all(head.fields, b"content-length")
    return _Length(int(length)) if length else _UntilTheEnd()


class _Length:
    def __init__(self, length: int) -> None:
        self._length = self._left = length
        self.is_complete = length == 0
        self.is_followed = True

    def feed(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        self.is_complete = self._left == 0
        self.is_followed = len(piece) == len(data)
        return piece

    def missing_at_end(self) -> str:
        return f"received {self._length - self._left} bytes, expected {self._length}"


class _UntilTheEnd:
    """Ends with the connection, as the server says no length."""

    is_complete = False
    is_followed = False

    def feed(self, data: bytes) -> bytes:
        return data

    def missing_at_end(self) -> None:
        return None


class _Chunked:
    """Reads chunks (section 7.1), without extensions.

    Trailers are not read, as nobody uses them, so that a malformed one cannot turn a complete response into a failure.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._pending = bytearray()
        self._left = 0

    @property
    def is_followed(self) -> bool:
        return self._pending == b"\r\n"

    def feed(self, data: bytes) -> bytes:
        self._pending += data
        pieces = []
        while self._pending and not self.is_complete and (self._left or self._read_size()):
            piece = self._pending[: self._left]
            del self._pending[: len(piece)]
            self._left -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def missing_at_end(self) -> str:
        return "incomplete chunked read"

    def _read_size(self) -> bool:
        """Reads the line before a chunk, after the line end of the one before; returns False while it is incomplete."""
        while self._pending.startswith((b"\r", b"\n")):
            del self._pending[:1]
        end = self._pending.find(b"\n", 0, MAX_LINE_BYTES)
        if end < 0 and len(self._pending) < MAX_LINE_BYTES:
            return False
        size = _SIZE.fullmatch(bytes(self._pending[:end]).rstrip(b"\r")) if end > 0 else None
        if size is None:
            raise httpx.RemoteProtocolError("A chunk of the body has no size.")
        del self._pending[: end + 1]
        self._left = int(size[1], 16)
        self.is_complete = self._left == 0
        return not self.is_complete
