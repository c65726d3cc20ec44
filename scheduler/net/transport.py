"""An httpx transport that connects only to addresses it has just checked.

Each request is resolved once, every address is checked, and the connection goes to exactly the address checked, so
DNS rebinding has no effect. The Host header, the TLS server name (SNI) and the certificate check keep the name.
"""

from __future__ import annotations

import functools
import ssl

import httpx

from scheduler.net.addresses import IPAddress
from scheduler.net.exchange import OneRequestTransport
from scheduler.net.guard import admit
from scheduler.net.policy import AllowedPrivate, ParsedUrl, check_url
from scheduler.net.resolver import Resolver, SystemResolver

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
