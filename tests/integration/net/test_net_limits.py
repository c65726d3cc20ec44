"""Time, size and redirects: where the guarded client stops."""

from __future__ import annotations

import asyncio
import tracemalloc
import zlib

import pytest

from scheduler.net.client import GuardedClient
from scheduler.net.errors import TimedOut, TooLarge, TooManyRedirects, UrlRefused
from tests.integration.net.net_servers import LOOPBACK, OK, Exchange, Handler, names, never, serve, watched_sockets

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def slow_headers(exchange: Exchange) -> None:
    """Sends a header line now and then, and never the last one."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-One: 1\r\n")
    await never(exchange)


async def slow_body(exchange: Exchange) -> None:
    """Sends a byte every few milliseconds, so that no single read takes long."""
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await exchange.send(b"x")
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("handler", [never, slow_headers, slow_body])
@pytest.mark.parametrize("truncate", [True, False])
async def test_the_timeout_is_for_the_whole_answer(handler: Handler, truncate: bool) -> None:
    async with serve(handler) as server, GuardedClient(allow_private=LOOPBACK) as client:
        with pytest.raises(TimedOut, match=r"127\.0\.0\.1 .* 0\.2 s"):
            async with asyncio.timeout(5):
                await client.request("GET", server.url, timeout=0.2, max_bytes=MIB, truncate=truncate)


async def test_connecting_has_a_timeout_of_its_own_with_the_tls_handshake_in_it() -> None:
    async with (
        serve(never) as silent,
        GuardedClient(allow_private=LOOPBACK, connect_timeout=0.1) as client,
    ):
        with pytest.raises(TimedOut, match=f"No connection to 127.0.0.1, port {silent.port}"):
            await client.request("GET", f"https://127.0.0.1:{silent.port}/", timeout=60, max_bytes=MIB)


async def ten_megabytes(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
    for _ in range(160):
        await exchange.send(b"x" * 65536)


async def test_a_body_over_the_limit_is_refused_or_cut() -> None:
    async with serve(ten_megabytes) as server, GuardedClient(allow_private=LOOPBACK) as client:
        with pytest.raises(TooLarge, match=r"127\.0\.0\.1 .* 1048576 bytes") as caught:
            await client.request("GET", server.url, timeout=30, max_bytes=MIB)
        assert caught.value.permanent
        answer = await client.request("GET", server.url, timeout=30, max_bytes=MIB, truncate=True)
        assert answer.truncated
        assert answer.body == b"x" * MIB
        whole = await client.request("GET", server.url, timeout=30, max_bytes=10 * MIB, truncate=True)
        assert not whole.truncated
        assert len(whole.body) == 10 * MIB


def bomb() -> bytes:
    """256 MiB of zeros in 256 KiB of gzip, including headers."""
    deflater = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    zeros = bytes(16 * MIB)
    body = b"".join([*(deflater.compress(zeros) for _ in range(16)), deflater.flush()])
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_a_decompression_bomb_is_stopped_before_it_inflates() -> None:
    async with serve(bomb()) as server, GuardedClient(allow_private=LOOPBACK) as client:
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                await client.request("GET", server.url, timeout=30, max_bytes=MIB)
            answer = await client.request("GET", server.url, timeout=30, max_bytes=MIB, truncate=True)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answer.truncated
    assert answer.body == bytes(MIB)
    assert peak < 16 * MIB


def moved(status: int, location: str) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_a_redirect_is_not_followed_unless_asked() -> None:
    async with serve(moved(302, "/next")) as server, GuardedClient(allow_private=LOOPBACK) as client:
        answer = await client.request("GET", server.url, timeout=5, max_bytes=100)
    assert answer.status == 302
    assert answer.headers["Location"] == "/next"
    assert len(server.exchanges) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "//10.0.0.1/",
        "http://inner.example/",
        "file:///etc/passwd",
        "http://user:word@shop.example/",
        "http://[oops",
    ],
)
async def test_a_redirect_to_what_is_refused_stops_there(location: str) -> None:
    resolver = names(shop="127.0.0.1", inner="10.0.0.1")
    async with (
        serve(moved(302, location)) as server,
        GuardedClient(allow_private=LOOPBACK, resolver=resolver) as client,
    ):
        with watched_sockets() as sockets, pytest.raises(UrlRefused):
            await client.request(
                "GET", f"http://shop.example:{server.port}/", timeout=5, max_bytes=100, follow_redirects=True
            )
    assert sockets == [("127.0.0.1", server.port)]


async def test_a_redirect_loop_ends() -> None:
    async with serve(moved(301, "/")) as server, GuardedClient(allow_private=LOOPBACK) as client:
        with pytest.raises(TooManyRedirects, match="More than 3") as caught:
            await client.request(
                "GET", server.url, timeout=5, max_bytes=100, follow_redirects=True, max_redirects=3
            )
    assert caught.value.permanent
    assert len(server.exchanges) == 4


SECRET = {"Authorization": "Bearer t", "X-Api-Key": "k", "Accept": "text/plain", "Content-Type": "a/b"}


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (303, "PUT", "GET", b""),
        (303, "HEAD", "HEAD", b""),
        (301, "PUT", "PUT", b"data"),
        (307, "POST", "POST", b"data"),
        (308, "POST", "POST", b"data"),
    ],
)
async def test_a_redirect_changes_the_method_as_http_says(
    status: int, method: str, then: str, body: bytes
) -> None:
    async def once(exchange: Exchange) -> None:
        await exchange.send(OK if "/next" in exchange.request_line else moved(status, "next"))

    async with serve(once) as server, GuardedClient(allow_private=LOOPBACK) as client:
        await client.request(
            method,
            server.url,
            headers=SECRET,
            content=b"data" if method != "HEAD" else None,
            timeout=5,
            max_bytes=100,
            follow_redirects=True,
        )
    second = server.exchanges[1]
    assert second.request_line == f"{then} /next HTTP/1.1"
    assert second.body == body
    assert second.headers["x-api-key"] == "k"
    assert ("content-type" in second.headers) is bool(body)


async def test_a_redirect_to_another_origin_does_not_carry_secrets() -> None:
    async with (
        serve(OK) as other,
        serve(moved(307, f"http://shop.example:{other.port}/")) as server,
        GuardedClient(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")) as client,
    ):
        answer = await client.request(
            "GET", server.url, headers=SECRET, timeout=5, max_bytes=100, follow_redirects=True
        )
    assert answer.url == f"http://shop.example:{other.port}/"
    (exchange,) = other.exchanges
    assert not {"authorization", "x-api-key"} & exchange.headers.keys()
    assert exchange.headers["accept"] == "text/plain"


@pytest.mark.parametrize("head", [b"200 OK", b"302 Found\r\nLocation: /next"])
async def test_a_body_that_is_not_wanted_is_hung_up_on(head: bytes) -> None:
    closed = asyncio.Event()

    async def endless(exchange: Exchange) -> None:
        if "/next" in exchange.request_line:
            await exchange.send(OK)
            return
        try:
            await exchange.send(b"HTTP/1.1 %s\r\nContent-Length: 99999999999\r\n\r\n" % head)
            while True:
                await exchange.send(b"x" * 65536)
        except ConnectionError:
            closed.set()

    async with serve(endless) as server, GuardedClient(allow_private=LOOPBACK) as client:
        await client.request("GET", server.url, timeout=5, max_bytes=1000, truncate=True, follow_redirects=True)
        await asyncio.wait_for(closed.wait(), 5)
