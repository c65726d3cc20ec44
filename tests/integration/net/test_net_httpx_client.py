"""Library clients based on httpx use the guard: they cannot reach what it refuses."""

from __future__ import annotations

import gzip
import zlib

import httpx
import pytest

from scheduler.net.client import GuardedClient
from scheduler.net.errors import AnswerBroken, TooLarge, UrlRefused
from scheduler.net.httpx_client import httpx_client
from scheduler.net.policy import AllowedPrivate
from tests.integration.net.net_servers import LOOPBACK, OK, names, serve

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_request_arrives_with_its_headers_and_closing_leaves_the_guarded_client_open() -> None:
    async with (
        serve(OK) as server,
        GuardedClient(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")) as guarded,
    ):
        async with httpx_client(guarded, headers={"X-A": "1"}, max_bytes=100) as client:
            assert (await client.post(f"http://shop.example:{server.port}/a", json={})).text == "ok"
        answer = await guarded.request("GET", server.url, timeout=5, max_bytes=10)
    assert answer.body == b"ok"
    first, _ = server.exchanges
    assert (first.headers["x-a"], first.headers["accept-encoding"]) == ("1", "identity")


async def test_a_private_address_is_refused() -> None:
    async with serve(OK) as server, GuardedClient(allow_private=AllowedPrivate()) as guarded:
        with pytest.raises(UrlRefused):
            await httpx_client(guarded, headers={}, max_bytes=100).get(server.url)
    assert server.exchanges == []


async def test_an_answer_that_is_too_long_is_cut_off() -> None:
    async with (
        serve(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101) as server,
        GuardedClient(allow_private=LOOPBACK) as guarded,
    ):
        with pytest.raises(TooLarge):
            await httpx_client(guarded, headers={}, max_bytes=100).get(server.url)


@pytest.mark.parametrize("encoding", ["none", "UTF-8", "", "identity", "gzip", "deflate"])
async def test_whatever_an_answer_says_of_its_coding_it_is_read(encoding: str) -> None:
    packed = {"gzip": gzip.compress(b'{"a": 1}'), "deflate": zlib.compress(b'{"a": 1}')}
    body = packed.get(encoding, b'{"a": 1}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nServer : a\r\nContent-Length: {len(body)}\r\n\r\n"
    async with serve(head.encode() + body) as server, GuardedClient(allow_private=LOOPBACK) as guarded:
        response: httpx.Response = await httpx_client(guarded, headers={}, max_bytes=100).get(server.url)
    assert response.json() == {"a": 1}


async def test_a_compressed_answer_is_inflated_no_further_than_its_bound() -> None:
    body = gzip.compress(b"x" * 1_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serve(head + body) as server, GuardedClient(allow_private=LOOPBACK) as guarded:
        with pytest.raises(TooLarge):
            await httpx_client(guarded, headers={}, max_bytes=100).get(server.url)


async def test_an_answer_in_a_coding_that_was_not_offered_is_refused() -> None:
    async with (
        serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx") as server,
        GuardedClient(allow_private=LOOPBACK) as guarded,
    ):
        with pytest.raises(AnswerBroken):
            await httpx_client(guarded, headers={}, max_bytes=100).get(server.url)


async def test_redirects_are_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    async with serve(answer) as server, GuardedClient(allow_private=LOOPBACK) as guarded:
        response: httpx.Response = await httpx_client(guarded, headers={}, max_bytes=100).get(server.url)
    assert response.status_code == 302
