"""Reads a response body without ever holding more of it than the limit."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Protocol

from scheduler.net.errors import AnswerBroken

ACCEPT_ENCODING = "gzip, deflate"

# How far a compressed body may exceed `max_bytes`: headers and blocks that inflate to nothing.
_COMPRESSED_MARGIN = 65536
_PIECE = 65536
_OFFERED = frozenset({"gzip", "x-gzip", "deflate"})
# Registered codings that we do not offer. Any other name that servers send (none, UTF-8, binary) is not a coding.
_NOT_OFFERED = frozenset(
    {"aes128gcm", "br", "compress", "dcb", "dcz", "exi", "pack200-gzip", "x-compress", "zstd"},
)
_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Decoder(Protocol):
    """Decodes a body, at most `limit` bytes at a time."""

    def decode(self, chunk: bytes, limit: int) -> bytes:
        """Returns the next bytes of the body, at most `limit`."""
        ...

    def finish(self) -> None:
        """Raises AnswerBroken when the body is incomplete."""
        ...


async def read_body(
    chunks: AsyncIterator[bytes], encoding: str, max_bytes: int, *, lenient: bool = False
) -> tuple[bytes, bool]:
    """Decodes `chunks` by Content-Encoding `encoding`; returns the body and whether it was truncated.

    Keeps at most `max_bytes` of the decoded body, never inflates more than one byte beyond that, and stops reading
    there. Raises AnswerBroken when the body cannot be decoded; with `lenient` it is returned as sent instead.
    """
    if lenient:
        return await _read_leniently(chunks, encoding, max_bytes)
    decoder = decoder_of(encoding)
    body = bytearray()
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        body += decoder.decode(chunk, max_bytes + 1 - len(body))
        if len(body) > max_bytes or received > max_bytes + _COMPRESSED_MARGIN:
            return bytes(body[:max_bytes]), True
    decoder.finish()
    return bytes(body), False


async def _read_leniently(chunks: AsyncIterator[bytes], encoding: str, max_bytes: int) -> tuple[bytes, bool]:
    """Returns as much of the body as can be decoded; the raw body if nothing can."""
    sent = bytearray()
    async for chunk in chunks:
        sent += chunk
        if len(sent) > max_bytes + _COMPRESSED_MARGIN:
            break
    body = b""
    try:
        decoder = decoder_of(encoding)
        for start in range(0, len(sent), _PIECE):
            body += decoder.decode(bytes(sent[start : start + _PIECE]), max_bytes + 1 - len(body))
    except AnswerBroken:
        body = body or bytes(sent)
    return body[:max_bytes], len(body) > max_bytes or len(sent) > max_bytes + _COMPRESSED_MARGIN


def codings_of(encoding: str) -> list[str]:
    """Returns the codings named in a Content-Encoding, ignoring unknown names."""
    named = [part.strip() for part in encoding.lower().split(",")]
    return [each for each in named if each in _OFFERED or each in _NOT_OFFERED]


def decoder_of(encoding: str) -> Decoder:
    """Creates an incremental decoder for a Content-Encoding. Raises AnswerBroken for one that was not offered."""
    match codings_of(encoding):
        case []:
            return _Identity()
        case ["gzip" | "x-gzip"]:
            return _Inflate(_GZIP)
        case ["deflate"]:
            return _Inflate(None)
    # Refuses nested codings too: each level multiplies the size that a few bytes can expand to.
    raise AnswerBroken(f"The response is encoded as {encoding[:40]!r}; only {ACCEPT_ENCODING} were offered.")


class _Identity:
    def decode(self, chunk: bytes, limit: int) -> bytes:
        return chunk[:limit]

    def finish(self) -> None:
        pass


class _Inflate:
    """Decodes gzip (RFC 1952, including multiple members) and deflate (RFC 1950, or raw RFC 1951 as some servers
    send).
    """

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._stream: zlib._Decompress | None = None

    def decode(self, chunk: bytes, limit: int) -> bytes:
        out = b""
        while chunk and len(out) < limit:
            if self._stream is None or self._stream.eof:
                self._stream = zlib.decompressobj(self._window or (_ZLIB if chunk[0] & 15 == 8 else _RAW))
            try:
                out += self._stream.decompress(chunk, limit - len(out))
            except zlib.error:
                raise AnswerBroken("The response's compressed body is damaged.") from None
            chunk = self._stream.unused_data
        return out

    def finish(self) -> None:
        if self._stream is not None and not self._stream.eof:
            raise AnswerBroken("The response's compressed body ends early.")
