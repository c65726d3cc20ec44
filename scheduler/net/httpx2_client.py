"""Guards libraries that make requests with httpx2, with the same checks and pinned addresses."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

import httpx
import httpx2

from scheduler.net.client import GuardedClient
from scheduler.net.errors import TooLarge

CONNECT_SECONDS = 10.0


def httpx2_client(client: GuardedClient, *, max_bytes: int) -> httpx2.AsyncClient:
    """Returns an httpx2 client that goes through `client`, for one conversation: it keeps cookies.

    Closing it is optional. It waits ten seconds for a connection and has no read timeout: the caller must set a
    limit. A response larger than `max_bytes`, which is uncompressed, raises TooLarge; a refused address raises
    UrlRefused or ResolveFailed. Libraries wrap these in errors of their own.
    """
    return httpx2.AsyncClient(
        transport=_Bridge(client.transport, max_bytes),
        headers={"User-Agent": "Reveille", "Accept-Encoding": "identity", "Connection": "close"},
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        trust_env=False,
    )


class _Bridge(httpx2.AsyncBaseTransport):
    """Sends httpx2 requests over an httpx transport."""

    def __init__(self, transport: httpx.AsyncBaseTransport, max_bytes: int) -> None:
        self._transport = transport
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, AsyncIterable)  # noqa: S101  # as an asynchronous client makes it
        with _errors(request):
            response = await self._transport.handle_async_request(
                httpx.Request(
                    request.method,
                    str(request.url),
                    headers=request.headers.raw,
                    stream=_Body(request.stream),
                    extensions={
                        name: request.extensions[name] for name in ("timeout",) if name in request.extensions
                    },
                )
            )
        return httpx2.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_Answer(response, request, self._max_bytes),
            extensions={"http_version": response.extensions.get("http_version", b"HTTP/1.1")},
        )

    async def aclose(self) -> None:
        """Does nothing: the transport is shared."""


class _Body(httpx.AsyncByteStream):
    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._source:
            yield chunk


class _Answer(httpx2.AsyncByteStream):
    def __init__(self, response: httpx.Response, request: httpx2.Request, max_bytes: int) -> None:
        self._response = response
        self._request = request
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._max_bytes
        assert isinstance(self._response.stream, httpx.AsyncByteStream)  # noqa: S101  # as its transport makes it
        with _errors(self._request):
            async for chunk in self._response.stream:
                left -= len(chunk)
                if left < 0:
                    raise TooLarge(
                        f"The response from {self._request.url.host} is larger than {self._max_bytes} bytes."
                    )
                yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


@contextlib.contextmanager
def _errors(request: httpx2.Request) -> Iterator[None]:
    """Converts httpx's errors to the httpx2 errors of the same name."""
    try:
        yield
    except httpx.TransportError as error:
        same = getattr(httpx2, type(error).__name__, httpx2.TransportError)
        raise same(str(error), request=request) from error
