"""The heads of answers, as servers write them by hand: made such that a strict parser reads them.

A whole answer must not count as a broken one for a space before a colon: whoever sent it has done the work.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

MAX_HEAD_BYTES = 64 * 1024
"""A longer head is left as it is, for the parser to refuse."""

_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+)[ \t]*:(.*)", re.DOTALL)
_STATUS = re.compile(rb"^(HTTP/[0-9]\.[0-9])[ \t]+([0-9]{3})[ \t]*(?:[\x00-\x1f]*)")
_NOT_IN_VALUES = re.compile(rb"[\x00\x0b\x0c\r]")
_INTERIM = re.compile(rb"HTTP/1\.[0-9] 1(?!01)[0-9][0-9]\b")
_NO_CODINGS = frozenset({(b"transfer-encoding", b"identity"), (b"transfer-encoding", b"")})


def tidy_head(head: bytes) -> bytes:
    """A head, without the empty line that ends it, in lines that RFC 9112 allows; the same fields as before.

    Blanks before a colon go (section 5.1), control characters in a value become blanks (RFC 9110 section 5.5), and a
    line that is no field is left out, with its continuation. What frames the body is not guessed at.
    """
    status, *lines = re.split(rb"\r?\n", head)
    return b"\r\n".join([_STATUS.sub(rb"\1 \2 ", status), *_fields(lines)])


def _fields(lines: Iterable[bytes]) -> Iterator[bytes]:
    is_kept, is_chunked = False, False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if is_kept:
                yield _NOT_IN_VALUES.sub(b" ", line)
            continue
        match = _FIELD.fullmatch(line)
        name = match[1] if match else b""
        value = _NOT_IN_VALUES.sub(b" ", match[2]).strip() if match else b""
        field = (name.lower(), value.lower())
        repeats_chunked = is_chunked and field == (b"transfer-encoding", b"chunked")
        is_kept = match is not None and field not in _NO_CODINGS and not repeats_chunked
        is_chunked = is_chunked or field == (b"transfer-encoding", b"chunked")
        if is_kept:
            yield name + b": " + value


def lenient_transport(ssl_context: ssl.SSLContext, limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
    """Httpx's transport for HTTP/1.1, whose connections tidy the heads of answers. Each carries one request."""
    transport = httpx.AsyncHTTPTransport(verify=ssl_context, limits=limits)
    # httpx has no way to choose the network of its pool; httpcore, below it, has.
    transport._pool = httpcore.AsyncConnectionPool(  # noqa: SLF001
        ssl_context=ssl_context,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=_Network(),
    )
    return transport


class _Network(httpcore.AnyIOBackend):
    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _Stream(await super().connect_tcp(*args, **kwargs))


class _Stream(httpcore.AsyncNetworkStream):
    """A connection on which heads are tidied until the final answer's has passed; then bytes go through as they are."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._head = bytearray()
        self._is_past = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while not self._is_past:
            chunk = await self._inner.read(max_bytes, timeout)
            self._head += chunk
            if not chunk:
                self._is_past = True
                return bytes(self._head)
            came = self._tidied()
            if came:
                return came
        return await self._inner.read(max_bytes, timeout)

    def _tidied(self) -> bytes:
        """What is known to be whole of the buffered bytes; nothing while a head is not."""
        out = b""
        self._head = self._head.lstrip(b"\r\n")  # empty lines before an answer
        while not self._is_past and (end := _END.search(self._head)):
            head = bytes(self._head[: end.start()])
            del self._head[: end.end()]
            self._is_past = not _INTERIM.match(head)
            out += tidy_head(head) + b"\r\n\r\n"
        if self._is_past or len(self._head) > MAX_HEAD_BYTES:
            self._is_past = True
            out += bytes(self._head)
            self._head.clear()
        return out

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
