"""Connects only to addresses that were just checked, also for the httpx clients of libraries.

Each request is resolved once, every address is checked, and the connection goes to exactly the address checked, so
DNS rebinding has no effect. The Host header, the TLS server name (SNI) and the certificate check keep the name.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Sequence

import httpx

from scheduler.net.addresses import IPAddress
from scheduler.net.connection import Connection, Connector, Place, write_request
from scheduler.net.policy import AllowedPrivate, ParsedUrl, check_url
from scheduler.net.resolver import Resolver, SystemResolver, allowed_addresses

_MAX_ADDRESSES_TRIED = 4


class Gate:
    """Opens connections for URLs, after checking every address of their hosts."""

    def __init__(
        self,
        *,
        allow_private: AllowedPrivate,
        resolver: Resolver | None = None,
        connector: Connector | None = None,
    ) -> None:
        self.allow_private = allow_private
        self._resolver = resolver or SystemResolver()
        self._connector = connector or Connector(default_ssl_context())

    async def places(self, target: ParsedUrl) -> list[Place]:
        """Returns where a request may go, best first: each address of its host has just been checked.

        Raises UrlRefused and ResolveFailed.
        """
        addresses = await allowed_addresses(target, resolver=self._resolver, allow_private=self.allow_private)
        return [_place(target.scheme, target.host, each, target.port) for each in addresses[:_MAX_ADDRESSES_TRIED]]

    async def connect(self, places: Sequence[Place], timeout: float | None) -> Connection:
        """Connects to the first place that accepts, each with an equal share of `timeout`.

        Raises httpx.ConnectError and httpx.ConnectTimeout.
        """
        share = None if timeout is None else timeout / len(places)
        for place in places[:-1]:
            try:
                return await self._connector.connect(place, share)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._connector.connect(places[-1], share)


class GuardedTransport(httpx.AsyncBaseTransport):
    """For the httpx clients of libraries (`httpx.AsyncClient(transport=…, trust_env=False)`).

    Each request has a connection of its own, so that it cannot be sent for one name over TLS established for another,
    and a server that hangs does not make others wait. A body is sent at once, as it is in memory already. The
    timeouts for connecting and reading apply. Raises UrlRefused and ResolveFailed besides httpx's own errors.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request` and returns its response, whose body is still to be read."""
        target = check_url(str(request.url), self._gate.allow_private)
        timeouts = request.extensions.get("timeout", {})
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101  # as an asynchronous client makes it
        body = b"".join([chunk async for chunk in request.stream])
        message = write_request(request.method, request.url.raw_path, request.headers.raw, body)
        connection = await self._gate.connect(await self._gate.places(target), timeouts.get("connect"))
        try:
            head = await connection.send(request.method, message, timeouts.get("read"))
        except BaseException:
            connection.close()
            raise
        return httpx.Response(
            head.status,
            headers=head.fields,
            stream=_Body(connection, timeouts.get("read")),
            extensions={"http_version": b"HTTP/" + head.version, "reason_phrase": head.reason},
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, connection: Connection, timeout: float | None) -> None:
        self._connection = connection
        self._timeout = timeout

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._connection.chunks(self._timeout)

    async def aclose(self) -> None:
        self._connection.close()


@functools.lru_cache(maxsize=1024)  # cached: to write an address takes a while
def _place(scheme: str, host: str, address: IPAddress, port: int) -> Place:
    return Place(scheme, host, str(address), port)


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """Trusts the public authorities and those installed on this machine, so that private authorities work."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
