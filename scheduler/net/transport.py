"""httpx transports that connect only to addresses just checked, with HTTP/1.1 by h11 on an event loop's socket.

Each request is resolved once, every address is checked, and the connection goes to exactly the address checked, so
DNS rebinding has no effect. The Host header, the TLS server name (SNI) and the certificate check keep the name.
httpx's own transport keeps a pool and supports any kind of network, which took most of the time of a request.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator

import h11
import httpx

from scheduler.net.addresses import IPAddress
from scheduler.net.policy import AllowedPrivate, ParsedUrl, check_url
from scheduler.net.resolver import Resolver, SystemResolver, admit
from scheduler.net.response_repair import MAX_HEAD_BYTES, HeadTidier

_PORTS = {"http": 80, "https": 443}
_MOST_UNREAD = 256 * 1024
"""How many unread bytes are buffered before the server has to wait."""
_MAX_ADDRESSES_TRIED = 4


class OneRequestTransport(httpx.AsyncBaseTransport):
    """Opens a connection for each request and closes it with the response.

    The host of a request is an IP address; the name for TLS is in its extension `sni_hostname`. A body is sent at
    once, as it is in memory already. The timeouts for connecting and reading apply.
    """

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request` and returns its response, whose body is still to be read."""
        timeouts = request.extensions.get("timeout", {})
        sent = await _written(request)
        socket = await self._connect(request, timeouts.get("connect"))
        exchange = _Exchange(socket, sent.connection, timeouts.get("read"))
        try:
            socket.transport.write(sent.message)
            head = await exchange.head()
        except BaseException:
            await exchange.aclose()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=exchange,
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def _connect(self, request: httpx.Request, timeout: float | None) -> _Socket:
        url = request.url
        context = self._ssl_context if url.scheme == "https" else None
        name = request.extensions.get("sni_hostname") or url.host
        try:
            async with asyncio.timeout(timeout):
                _, socket = await asyncio.get_running_loop().create_connection(
                    _Socket,
                    url.host,
                    url.port or _PORTS[url.scheme],
                    ssl=context,
                    server_hostname=name if context else None,
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except (OSError, ssl.SSLError) as error:
            raise httpx.ConnectError(str(error)) from error
        return socket


class _Message:
    """A request as bytes, and the state of the connection after it."""

    def __init__(self, connection: h11.Connection, message: bytes) -> None:
        self.connection = connection
        self.message = message


async def _written(request: httpx.Request) -> _Message:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES + 36 * 1024)
    assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101  # as an asynchronous client makes it
    try:
        head = h11.Request(
            method=request.method.encode("ascii"), target=request.url.raw_path, headers=request.headers.raw
        )
        parts = [connection.send(head)]
        parts += [connection.send(h11.Data(data=chunk)) async for chunk in request.stream]
        parts.append(connection.send(h11.EndOfMessage()))
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise httpx.LocalProtocolError(str(error)) from error
    return _Message(connection, b"".join(part for part in parts if part))


class _Exchange(httpx.AsyncByteStream):
    """Reads a response: `head`, then this stream is the body."""

    def __init__(self, socket: _Socket, connection: h11.Connection, timeout: float | None) -> None:
        self._socket = socket
        self._connection = connection
        self._timeout = timeout
        self._tidier = HeadTidier()

    async def head(self) -> h11.Response:
        """Returns the head of the final response."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return

    async def aclose(self) -> None:
        """Closes the connection at once."""
        self._socket.transport.abort()

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                raise httpx.RemoteProtocolError(str(error)) from error
            if event is not h11.NEED_DATA:
                assert not isinstance(event, type) or event is h11.PAUSED  # noqa: S101  # there are no others
                return event
            self._connection.receive_data(await self._read())

    async def _read(self) -> bytes:
        """Returns the next bytes, with tidied heads; none at the end."""
        while True:
            data = await self._socket.read(self._timeout)
            came = self._tidier.tidy(data)
            if not data and not came and self._connection.their_state is h11.SEND_RESPONSE:
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
            if came or not data:
                return came


class _Socket(asyncio.Protocol):
    """A connection that keeps received data until it is read, even if the connection breaks before."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._received = bytearray()
        self._is_over = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # of a stream
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > _MOST_UNREAD:
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._is_over = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._error = self._error or exc
        self._is_over = True
        self._wake()

    async def read(self, timeout: float | None) -> bytes:
        """Returns received data; nothing at the end."""
        if not self._received and not self._is_over:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._reader
            except TimeoutError as error:
                raise httpx.ReadTimeout(str(error)) from error
        if not self._received and self._error is not None:
            raise httpx.ReadError(str(self._error)) from self._error
        data = bytes(self._received)
        self._received.clear()
        if not self._is_over:
            self.transport.resume_reading()
        return data

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Also for the httpx clients of libraries (`httpx.AsyncClient(transport=…, trust_env=False)`).

    Raises UrlRefused and ResolveFailed besides httpx's own errors. `inner` sends the pinned requests.
    """

    def __init__(
        self,
        *,
        allow_private: AllowedPrivate,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver or SystemResolver()
        # No connection is kept alive: reusing one would skip the check, or could send a request for one name over TLS
        # established for another. There is no limit on connections either: a server that hangs must not make others
        # wait.
        self._inner = inner or OneRequestTransport(ssl_context or default_ssl_context())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Checks the URL, then tries the checked addresses in turn, each with an equal share of the connect
        timeout.
        """
        target = check_url(str(request.url), self._allow_private)
        addresses = await admit(target, resolver=self._resolver, allow_private=self._allow_private)
        addresses = addresses[:_MAX_ADDRESSES_TRIED]
        for address in addresses[:-1]:
            try:
                return await self._send(request, target, address, len(addresses))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(request, target, addresses[-1], len(addresses))

    async def _send(
        self, request: httpx.Request, target: ParsedUrl, address: IPAddress, shares: int
    ) -> httpx.Response:
        timeouts = dict(request.extensions.get("timeout", {}))
        if timeouts.get("connect") is not None:
            timeouts["connect"] /= shares
        pinned = httpx.Request(
            request.method,
            _pinned(request.url, str(address), target.port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "timeout": timeouts, "sni_hostname": target.host},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Closes what is still open."""
        await self._inner.aclose()


@functools.lru_cache(maxsize=1024)
def _pinned(url: httpx.URL, address: str, port: int) -> httpx.URL:
    return url.copy_with(host=address, port=port)


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """Trusts the public authorities and those installed on this machine, so that private authorities work."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
