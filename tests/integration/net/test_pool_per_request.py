"""Each request has a transport of its own, and those that are free are used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from scheduler.net.transport import PoolPerRequest

URL = "http://agent.example/"


class Body(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"done"


class Transport(httpx.AsyncBaseTransport):
    """Answers, and counts what it was given."""

    def __init__(self) -> None:
        self.requests = 0
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        await asyncio.sleep(0)
        if request.url.path == "/broken":
            raise httpx.ConnectError("refused")
        return httpx.Response(200, stream=Body(), request=request)

    async def aclose(self) -> None:
        self.closed = True


def make() -> tuple[PoolPerRequest, list[Transport]]:
    made: list[Transport] = []

    def one() -> Transport:
        made.append(Transport())
        return made[-1]

    return PoolPerRequest(one), made


def get(pool: PoolPerRequest, path: str = "") -> asyncio.Future[httpx.Response]:
    return asyncio.ensure_future(pool.handle_async_request(httpx.Request("GET", URL + path)))


def test_requests_at_once_share_no_transport_and_later_ones_use_them_again() -> None:
    pool, made = make()

    async def run() -> None:
        for _ in range(3):
            for response in await asyncio.gather(*(get(pool) for _ in range(5))):
                await response.aclose()
                await response.aclose()
        await pool.aclose()

    asyncio.run(run())
    assert [transport.requests for transport in made] == [3] * 5
    assert all(transport.closed for transport in made)


def test_a_request_that_fails_or_is_cancelled_gives_its_transport_back() -> None:
    pool, made = make()

    async def run() -> None:
        with pytest.raises(httpx.ConnectError):
            await get(pool, "broken")
        cancelled = get(pool)
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        response = await get(pool)
        assert await response.aread() == b"done"
        await response.aclose()

    asyncio.run(run())
    assert [transport.requests for transport in made] == [3]
