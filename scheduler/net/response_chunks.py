"""Repairs the framing of chunked answers as servers write it, so that a strict parser reads them."""

from __future__ import annotations

import re

_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
MAX_LINE_BYTES = 4096
"""A longer line of a chunk's size is left as it is, for the parser to refuse."""


class Chunks:
    """Frames a chunked body anew, as it comes: its bytes are the same, its extensions and trailers are left out.

    What is wrong with a trailer must not make a whole answer a broken one; and nobody here reads trailers.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._left = 0
        self._is_in_data = False
        self._is_over = False
        self._is_strange = False

    def feed(self, data: bytes) -> bytes:
        """What of the body is known after these bytes, in chunks that RFC 9112 allows; empty while none of it is."""
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
        """The line before a chunk; None while it is not whole. The line end of the chunk before it may stand there."""
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
