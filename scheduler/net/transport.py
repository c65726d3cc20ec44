"""An httpx transport that connects only to addresses it has just checked.

Each request is resolved once, every address is checked, and the connection goes to exactly the address checked, so
DNS rebinding has no effect. The Host header, the TLS server name (SNI) and the certificate check keep the name.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Callable

import httpx

from scheduler.net.addresses import IPAddress
from scheduler.net.guard import admit
from scheduler.net.policy import AllowedPrivate, ParsedUrl, check_url
from scheduler.net.resolver import Resolver, SystemResolver
from scheduler.net.response_heads import lenient_transport

_MAX_ADDRESSES_TRIED = 4


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
        # No connection is kept alive: reusing one would skip the check, and since the pool knows pinned requests
        # by address only, it could send a request for one name over TLS established for another. There is no limit
        # on connections either: a server that hangs must not make others wait.
        context = ssl_context or default_ssl_context()
        self._inner = inner or PoolPerRequest(lambda: _one_connection(context))

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


def _one_connection(context: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    return lenient_transport(context, httpx.Limits(max_connections=None, max_keepalive_connections=0))


class PoolPerRequest(httpx.AsyncBaseTransport):
    """Sends each request over a transport that no other request is using.

    An httpx pool scans all its requests and connections at the start and end of each request; with 200 concurrent
    requests that took most of the time. Transports are kept for reuse, as many as were ever used at once.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._idle: list[httpx.AsyncBaseTransport] = []
        self._all: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request`; its transport is free again when the response is closed."""
        transport = self._take()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            self._idle.append(transport)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  # it comes from an async transport
        response.stream = _Returning(response.stream, lambda: self._idle.append(transport))
        return response

    async def aclose(self) -> None:
        """Closes all transports."""
        for transport in self._all:
            await transport.aclose()

    def _take(self) -> httpx.AsyncBaseTransport:
        if self._idle:
            return self._idle.pop()
        transport = self._make()
        self._all.append(transport)
        return transport


class _Returning(httpx.AsyncByteStream):
    """A body that reports once that it was closed."""

    def __init__(self, inner: httpx.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._inner = inner
        self._closed: Callable[[], None] | None = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            yield chunk

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """Trusts the public authorities and those installed on this machine, so that private authorities work."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
