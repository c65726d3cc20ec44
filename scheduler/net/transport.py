"""An httpx transport that connects to nothing but addresses that were checked a moment before.

Each request is resolved once, every answer is judged, and the connection goes to the very address judged:
what the name resolves to a moment later (DNS rebinding) does not matter. The Host header, the TLS server
name (SNI) and the certificate check keep the name.
"""

from __future__ import annotations

import functools
import ssl

import httpx

from scheduler.net.addresses import IPAddress
from scheduler.net.guard import admit
from scheduler.net.heads import lenient_transport
from scheduler.net.policy import AllowedPrivate, ParsedUrl, check_url
from scheduler.net.resolver import Resolver, SystemResolver

_MAX_ADDRESSES_TRIED = 4


class GuardedTransport(httpx.AsyncBaseTransport):
    """For httpx clients of libraries, too (`httpx.AsyncClient(transport=…, trust_env=False)`).

    Raises UrlRefused and ResolveFailed besides httpx's own errors. `inner` carries the pinned requests.
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
        # No connection is kept: one that is reused would skip the check, and since the pool knows pinned
        # requests by address alone, it could carry a request for one name over TLS made for another.
        # No limit on connections either: a server that hangs must not make others wait.
        self._inner = inner or lenient_transport(
            ssl_context or default_ssl_context(), httpx.Limits(max_connections=None, max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Check, then try the checked addresses in turn, each with an equal share of the connect timeout."""
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
            request.url.copy_with(host=str(address), port=target.port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "timeout": timeouts, "sni_hostname": target.host},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Close what is still open."""
        await self._inner.aclose()


@functools.cache
def default_ssl_context() -> ssl.SSLContext:
    """The public authorities and those of this machine, so that a private server's own authority counts."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
