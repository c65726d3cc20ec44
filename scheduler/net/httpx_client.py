"""Guards libraries that make requests with httpx, with the same checks, pinned addresses and a size limit.

A library reads everything it is sent and closes its client when done; neither must affect other callers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx

from scheduler.net.body import Decoder, decoder_of
from scheduler.net.client import GuardedClient
from scheduler.net.errors import AnswerBroken, TooLarge

CONNECT_SECONDS = 10.0


def httpx_client(client: GuardedClient, *, headers: Mapping[str, str], max_bytes: int) -> httpx.AsyncClient:
    """Returns an httpx client that goes through `client`. Closing it leaves that one open.

    Each response may have `max_bytes`; one compressed although that was not offered is decoded. Only connecting
    has a timeout: the caller limits the rest. Raises UrlRefused, ResolveFailed, TooLarge and AnswerBroken besides
    httpx's own errors.
    """
    return httpx.AsyncClient(
        transport=_SharedTransport(client.transport, max_bytes),
        headers={"User-Agent": "Reveille", **headers, "Accept-Encoding": "identity", "Connection": "close"},
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        trust_env=False,
    )


class _SharedTransport(httpx.AsyncBaseTransport):
    """Lends out a transport. `aclose` does nothing, as the transport is shared."""

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        host = request.url.host
        try:
            decoder = decoder_of(response.headers.pop("content-encoding", ""))
        except AnswerBroken:
            await response.aclose()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  # it comes from an async transport
        response.stream = _BoundedStream(response.stream, decoder, self._max_bytes, host)
        return response


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, decoder: Decoder, max_bytes: int, host: str) -> None:
        self._inner = inner
        self._decoder = decoder
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._host = host

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for sent in self._inner:
            chunk = self._decoder.decode(sent, self._left + 1)
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge(f"The response from {self._host} is larger than {self._max_bytes} bytes.")
            yield chunk
        self._decoder.finish()

    async def aclose(self) -> None:
        await self._inner.aclose()
