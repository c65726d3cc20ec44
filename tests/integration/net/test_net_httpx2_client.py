"""Library clients use the guard: they cannot reach what it refuses."""

from __future__ import annotations

import httpx2
import pytest

from scheduler.net.client import GuardedClient
from scheduler.net.errors import TooLarge, UrlRefused
from scheduler.net.httpx2_client import httpx2_client
from scheduler.net.policy import AllowedPrivate
from tests.integration.net.net_servers import LOOPBACK, OK, names, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_request_arrives_whole_at_the_checked_address() -> None:
    async with (
        serve(b"HTTP/1.1 418 Short\r\nETag: tea\r\nContent-Length: 3\r\n\r\npot") as server,
        GuardedClient(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")) as guarded,
    ):
        client = httpx2_client(guarded, max_bytes=100)
        answer = await client.post(
            f"http://shop.example:{server.port}/a", json={"say": "hi"}, headers={"x-a": "1"}
        )
    assert (answer.status_code, answer.headers["etag"], answer.content) == (418, "tea", b"pot")
    (exchange,) = server.exchanges
    assert exchange.body == b'{"say":"hi"}'
    assert (exchange.headers["host"], exchange.headers["x-a"]) == (f"shop.example:{server.port}", "1")


async def test_a_private_address_is_refused() -> None:
    async with serve(OK) as server, GuardedClient(allow_private=AllowedPrivate.parse("")) as guarded:
        with pytest.raises(UrlRefused):
            await httpx2_client(guarded, max_bytes=100).get(server.url)
    assert server.exchanges == []


async def test_an_answer_that_is_too_long_is_cut_off() -> None:
    async with (
        serve(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101) as server,
        GuardedClient(allow_private=LOOPBACK) as guarded,
    ):
        with pytest.raises(TooLarge):
            await httpx2_client(guarded, max_bytes=100).get(server.url)


async def test_a_lost_connection_is_the_librarys_own_error() -> None:
    async with (
        serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") as server,
        GuardedClient(allow_private=LOOPBACK) as guarded,
    ):
        with pytest.raises(httpx2.RemoteProtocolError):
            await httpx2_client(guarded, max_bytes=1000).get(server.url)
