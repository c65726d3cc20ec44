"""Repairs the framing of chunked responses so that a strict parser accepts them."""

from __future__ import annotations

import re

_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
MAX_LINE_BYTES = 4096
"""A longer chunk-size line is left unchanged, so that the parser refuses it."""


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
