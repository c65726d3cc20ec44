"""Connections that carry a request and its response (HTTP/1.1), on an event loop's sockets, and are kept for a moment
for the next one to the same place.

httpx's own transport keeps a pool and supports any kind of network, and h11 is written for every use of HTTP: together
they took most of the time of a request.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import ContextVar
from functools import partial
from typing import NamedTuple

import httpx

from scheduler.net.response import Field, Head, ResponseReader

BEFORE_SENDING: ContextVar[Callable[[], None]] = ContextVar("before_sending", default=lambda: None)
"""Is called when a connection is open, just before a request is written: what it raises keeps it from being sent."""

_MOST_UNREAD = 256 * 1024
"""How many unread bytes are buffered before the server has to wait."""
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = (b"content-length", b"transfer-encoding")
_WITH_BODY = ("POST", "PUT", "PATCH")
KEPT_SECONDS = 0.25
"""For agents: long enough for one batch of calls to use the connections of the batch before it."""


class Place(NamedTuple):
    """Where a connection goes to."""

    scheme: str
    host: str
    """The name that was asked for: a connection for one name is not used for another."""
    address: str
    """The IP address that was checked."""
    port: int


def write_request(method: str, target: bytes, fields: Iterable[Field], body: bytes) -> bytes:
    """Returns a request as bytes. Raises httpx.LocalProtocolError for what RFC 9112 does not allow in one."""
    head = [b"%s %s HTTP/1.1" % (method.encode("utf-8", "replace"), target)]
    if not _TOKEN.fullmatch(method.encode("utf-8", "replace")) or not _TARGET.fullmatch(target):
        raise httpx.LocalProtocolError("the method or the target has a character that is not allowed")
    for name, value in fields:
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise httpx.LocalProtocolError("a header has a character that is not allowed")
        if name.lower() not in _FRAMING:
            head.append(name + b": " + value)
    if body or method in _WITH_BODY:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*head, b"", body])


class Connection(asyncio.Protocol):
    """Carries one request and its response at a time. What was received is kept even if the connection then breaks."""

    _transport: asyncio.Transport

    def __init__(self, place: Place) -> None:
        self.place = place
        self._reader = ResponseReader("GET")
        self._received = bytearray()
        """The part of the body that has not been read yet."""
        self._is_over = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def send(self, method: str, request: bytes, timeout: float | None = None) -> Head:
        """Sends a request and returns the head of its response, whose body is still to be read.

        Raises httpx's errors, of which ReadTimeout after `timeout` seconds without a byte.
        """
        if self._is_over:
            raise httpx.ReadError("The connection was closed.")
        BEFORE_SENDING.get()()
        self._reader = ResponseReader(method)
        self._transport.write(request)
        while self._reader.head is None:
            await self._more(timeout)
        return self._reader.head

    async def chunks(self, timeout: float | None = None) -> AsyncIterator[bytes]:
        """Yields the body as it arrives. Raises as `send` does."""
        while True:
            if self._received:
                piece = bytes(self._received)
                self._received.clear()
                if not self._is_over:
                    self._transport.resume_reading()
                yield piece
            elif self._reader.is_complete:
                return
            else:
                await self._more(timeout)

    @property
    def has_answered(self) -> bool:
        """Whether anything of the response has come."""
        return self._reader.has_begun

    @property
    def is_idle(self) -> bool:
        """Whether the response was read to its end and another request may follow."""
        is_read = self._reader.is_followed and not self._received
        return is_read and not self._is_over and self._transport.get_write_buffer_size() == 0

    def close(self) -> None:
        """Closes the connection at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is called by the event loop, as are the next three."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # of a stream
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Reads a part of the response."""
        try:
            self._received += self._reader.feed(data)
        except httpx.RemoteProtocolError as error:
            self._end(error)
            self._transport.abort()
        if len(self._received) > _MOST_UNREAD:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Ends the response: nothing follows."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the response if it did not end before."""
        self._end(exc and httpx.ReadError(str(exc)))

    def _end(self, error: Exception | None) -> None:
        if not self._is_over:
            self._is_over = True
            try:
                if error is None:
                    self._reader.end()
            except httpx.RemoteProtocolError as early:
                error = early
            self._error = error
        self._wake()

    async def _more(self, timeout: float | None) -> None:
        """Waits until something has arrived. Raises the error that ended the connection."""
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        if timeout is None:
            return await self._waiter
        try:
            async with asyncio.timeout(timeout):
                return await self._waiter
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def spell_os_error(error: OSError) -> str:
    """Returns why a connection failed in the system's words, such as `Connection refused`, without numbers."""
    if isinstance(error, ssl.SSLError) or not error.errno:
        return str(error)
    return os.strerror(error.errno)


class Connector:
    """Opens connections."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context

    async def connect(self, place: Place, timeout: float | None) -> Connection:
        """Opens a connection. Raises httpx.ConnectTimeout after `timeout` seconds, and httpx.ConnectError."""
        is_https = place.scheme == "https"
        try:
            async with asyncio.timeout(timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    partial(Connection, place),
                    place.address,
                    place.port,
                    ssl=self._ssl_context if is_https else None,
                    server_hostname=place.host if is_https else None,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(spell_os_error(error)) from error
        return connection


class KeptConnections:
    """Connections without a request, by place: scheme, name, checked address and port.

    To open one costs more than all else in a quick request, and next to nothing in a slow one. So a connection is
    kept for `seconds` if its response took no longer. A server that serves one connection at a time waits for the kept
    one; the response that it then sends comes later than that, so it is held up only once.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """How long connections are kept; 0: not at all."""
        self._idle: dict[Place, list[tuple[float, Connection]]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    def take(self, places: Iterable[Place]) -> Connection | None:
        """Returns the connection used last at one of the `places`, which were checked for this request; None if there
        is none.
        """
        for place in places:
            idle = self._idle.get(place, [])
            while idle:
                _, connection = idle.pop()
                if connection.is_idle:
                    return connection
                connection.close()
        return None

    def add(self, connection: Connection, began: float) -> None:
        """Keeps a connection whose request `began` lately, if another request may follow on it; else closes it."""
        loop = asyncio.get_running_loop()
        if not connection.is_idle or loop.time() - began >= self.seconds:
            connection.close()
            return
        self._idle[connection.place].append((loop.time(), connection))
        if self._sweep is None:
            self._sweep = loop.call_later(self.seconds, self._close_old)

    def close(self) -> None:
        """Closes all."""
        self._close_until(float("inf"))
        if self._sweep is not None:
            self._sweep.cancel()

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._close_until(loop.time() - self.seconds)
        self._sweep = loop.call_later(self.seconds / 2, self._close_old) if self._idle else None

    def _close_until(self, moment: float) -> None:
        for place, idle in [*self._idle.items()]:
            for each in idle:
                if each[0] <= moment:
                    each[1].close()
            self._idle[place] = [each for each in idle if each[0] > moment]
            if not self._idle[place]:
                del self._idle[place]
