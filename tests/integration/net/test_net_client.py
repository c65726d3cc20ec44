"""The guarded client against real loopback servers: what it sends, where it connects, what it refuses."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
import pytest

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.net.client import GuardedClient
from scheduler.net.connection import Connector
from scheduler.net.errors import AnswerBroken, ConnectFailed, ResolveFailed, TimedOut, UrlRefused
from scheduler.net.policy import AllowedPrivate
from scheduler.net.resolver import FixtureResolver, SystemResolver
from scheduler.net.transport import Gate, GuardedTransport, default_ssl_context
from tests.integration.net.net_servers import (
    LOOPBACK,
    OK,
    Exchange,
    addresses,
    certificate,
    names,
    never,
    serve,
    watched_sockets,
)
from tests.support.web import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_request_arrives_whole_and_its_host_header_keeps_the_name() -> None:
    async with (
        serve(b"HTTP/1.1 418 Short\r\nETag: tea\r\nContent-Length: 3\r\n\r\npot") as server,
        GuardedClient(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")) as client,
    ):
        answer = await client.request(
            "POST",
            f"http://Shop.example:{server.port}/a%20b?q=é#part",
            headers={"authorization": "Bearer t", "user-agent": "mine"},
            content=b"\x00body",
            timeout=5,
            max_bytes=100,
        )
    assert (answer.status, answer.headers["etag"], answer.body, answer.truncated) == (418, "tea", b"pot", False)
    assert answer.url == f"http://shop.example:{server.port}/a%20b?q=é"
    (exchange,) = server.exchanges
    assert exchange.request_line == "POST /a%20b?q=%C3%A9 HTTP/1.1"
    assert exchange.body == b"\x00body"
    assert exchange.headers == {
        "host": f"shop.example:{server.port}",
        "authorization": "Bearer t",
        "user-agent": "mine",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "connection": "close",
        "content-length": "5",
    }


async def test_tls_asks_for_the_name_and_checks_the_certificate_against_it(tmp_path: Path) -> None:
    tls, trusting = certificate(tmp_path, "shop.example")
    async with (
        serve(OK, tls=tls) as server,
        GuardedClient(
            allow_private=LOOPBACK,
            resolver=names(shop="127.0.0.1", other="127.0.0.1"),
            connector=Connector(trusting),
        ) as client,
    ):
        answer = await client.request("GET", f"https://shop.example:{server.port}/", timeout=5, max_bytes=100)
        assert answer.body == b"ok"
        assert server.exchanges[0].headers["host"] == f"shop.example:{server.port}"
        with pytest.raises(ConnectFailed, match=r"other\.example"):
            await client.request("GET", f"https://other.example:{server.port}/", timeout=5, max_bytes=100)
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1"):
            await client.request("GET", f"https://127.0.0.1:{server.port}/", timeout=5, max_bytes=100)
    assert tls.server_names == ["shop.example", "other.example", None]
    assert len(server.exchanges) == 1


async def test_a_refused_connection_is_told_in_words() -> None:
    port = free_port()
    async with GuardedClient(allow_private=AllowedPrivate.parse("127.0.0.1")) as client:
        with pytest.raises(ConnectFailed) as caught:
            await client.request("GET", f"http://127.0.0.1:{port}/", timeout=5, max_bytes=100)
    assert caught.value.message == f"No connection to 127.0.0.1, port {port}: Connection refused."


async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    tls, _ = certificate(tmp_path, "shop.example")
    async with (
        serve(OK, tls=tls) as server,
        GuardedClient(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")) as client,
    ):
        with pytest.raises(ConnectFailed, match="certificate"):
            await client.request("GET", f"https://shop.example:{server.port}/", timeout=5, max_bytes=100)
    assert server.exchanges == []


def test_public_authorities_are_known_without_those_of_the_machine() -> None:
    assert len(default_ssl_context().get_ca_certs()) > 50


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(OK) as proxy, serve(OK) as server, GuardedClient(allow_private=LOOPBACK) as client:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(variable, proxy.url)
        assert (await client.request("GET", server.url, timeout=5, max_bytes=100)).body == b"ok"
    assert len(server.exchanges) == 1
    assert proxy.exchanges == []


async def test_ipv6_loopback_is_reached_when_the_operator_lists_it() -> None:
    async with serve(OK, host="::1") as server:
        async with GuardedClient(allow_private=AllowedPrivate.parse("[::1]")) as client:
            answer = await client.request("GET", server.url, timeout=5, max_bytes=100)
            assert answer.body == b"ok"
            assert server.exchanges[0].headers["host"] == f"[::1]:{server.port}"
        async with GuardedClient(allow_private=AllowedPrivate.parse("127.0.0.0/8")) as client:
            with pytest.raises(UrlRefused, match="::1"):
                await client.request("GET", server.url, timeout=5, max_bytes=100)
    assert len(server.exchanges) == 1


async def test_a_listed_name_is_reached_through_the_real_resolver() -> None:
    async with (
        serve(OK) as server,
        GuardedClient(allow_private=AllowedPrivate.parse("localhost")) as client,
    ):
        answer = await client.request("GET", f"http://localhost:{server.port}/", timeout=5, max_bytes=100)
        assert answer.body == b"ok"
        with pytest.raises(UrlRefused, match=r"127\.0\.0\.1"):
            await client.request("GET", server.url, timeout=5, max_bytes=100)


async def test_every_answer_is_checked_not_only_the_first() -> None:
    resolver = FixtureResolver({"shop.example": addresses("127.0.0.1", "10.0.0.1")})
    async with serve(OK) as server, GuardedClient(allow_private=LOOPBACK, resolver=resolver) as client:
        with watched_sockets() as sockets, pytest.raises(UrlRefused, match=r"10\.0\.0\.1"):
            await client.request("GET", f"http://shop.example:{server.port}/", timeout=5, max_bytes=100)
    assert sockets == []


async def test_the_next_address_is_tried_when_the_first_one_is_dead() -> None:
    resolver = FixtureResolver({"shop.example": addresses("127.0.0.9", "::ffff:127.0.0.1")})
    async with serve(OK) as server, GuardedClient(allow_private=LOOPBACK, resolver=resolver) as client:
        with watched_sockets() as sockets:
            answer = await client.request(
                "POST", f"http://shop.example:{server.port}/", content=b"x", timeout=5, max_bytes=100
            )
    assert answer.body == b"ok"
    assert sockets == [("127.0.0.9", server.port), ("127.0.0.1", server.port)]
    assert server.exchanges[0].body == b"x"


async def test_a_refused_connection_is_a_temporary_failure_that_names_host_and_port() -> None:
    async with serve(OK) as server:
        pass
    async with GuardedClient(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")) as client:
        with pytest.raises(ConnectFailed, match=f"shop.example, port {server.port}") as caught:
            await client.request(
                "GET", f"http://shop.example:{server.port}/?key=hunter2", timeout=5, max_bytes=100
            )
    assert not caught.value.permanent
    assert "hunter2" not in caught.value.message


async def test_a_connection_is_never_used_twice() -> None:
    async def keep_open(exchange: Exchange) -> None:
        await exchange.send(OK)
        await never(exchange)

    transport = GuardedTransport(Gate(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1", other="127.0.0.1")))
    async with serve(keep_open) as server, httpx.AsyncClient(transport=transport, trust_env=False) as client:
        with watched_sockets() as sockets:
            for name in ("shop", "shop", "other"):
                await client.get(f"http://{name}.example:{server.port}/")
    assert sockets == [("127.0.0.1", server.port)] * 3


async def test_cookies_of_one_caller_are_not_sent_for_the_next() -> None:
    biscuit = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n"
    async with serve(biscuit) as server, GuardedClient(allow_private=LOOPBACK) as client:
        for _ in range(2):
            await client.request("GET", server.url, timeout=5, max_bytes=100)
    assert all("cookie" not in exchange.headers for exchange in server.exchanges)


async def test_servers_that_hang_do_not_hold_up_others() -> None:
    all_wait = asyncio.Barrier(151)

    async def hang(exchange: Exchange) -> None:
        await all_wait.wait()
        await never(exchange)

    async with (
        serve(hang) as hanging,
        serve(OK) as server,
        GuardedClient(allow_private=LOOPBACK) as client,
        asyncio.TaskGroup() as group,
    ):
        waiting = [
            group.create_task(client.request("GET", hanging.url, timeout=60, max_bytes=100)) for _ in range(150)
        ]
        await all_wait.wait()
        answer = await client.request("GET", server.url, timeout=5, max_bytes=100)
        assert answer.body == b"ok"
        for task in waiting:
            assert not task.done()
            task.cancel()


async def test_a_name_that_does_not_resolve_is_a_temporary_failure() -> None:
    async with GuardedClient(allow_private=LOOPBACK) as client:
        with pytest.raises(ResolveFailed, match=r"nowhere\.invalid") as caught:
            await client.request("GET", "http://nowhere.invalid/", timeout=30, max_bytes=100)
    assert not caught.value.permanent


async def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        released.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    try:
        with pytest.raises(ResolveFailed, match=r"within 0\.05 s"):
            await SystemResolver(timeout=0.05).resolve("shop.example")
        async with GuardedClient(allow_private=LOOPBACK) as client:
            with pytest.raises(TimedOut):
                await client.request("GET", "http://shop.example/", timeout=0.05, max_bytes=100)
    finally:
        released.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
    ids=["nothing", "ssh", "cut off", "huge header", "not gzip"],
)
async def test_an_answer_that_is_not_whole_http_is_a_temporary_failure(answer: bytes) -> None:
    async with serve(answer) as server, GuardedClient(allow_private=LOOPBACK) as client:
        with pytest.raises(AnswerBroken) as caught:
            await client.request("GET", server.url, timeout=5, max_bytes=100)
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("method", "headers"), [("GET X", {}), ("GET", {"Host": "inner"}), ("GET", {"A": "b\r\n"})]
)
async def test_a_request_that_http_does_not_allow_is_refused(method: str, headers: dict[str, str]) -> None:
    async with serve(OK) as server, GuardedClient(allow_private=LOOPBACK) as client:
        with pytest.raises(InvalidField):
            await client.request(method, server.url, headers=headers, timeout=5, max_bytes=100)
    assert server.exchanges == []


async def test_a_client_of_a_library_is_guarded_by_the_transport() -> None:
    async def to_the_metadata(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        )

    transport = GuardedTransport(Gate(allow_private=LOOPBACK, resolver=names(shop="127.0.0.1")))
    async with (
        serve(to_the_metadata) as server,
        httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=True) as client,
    ):
        with watched_sockets() as sockets, pytest.raises(ReveilleError, match=r"169\.254\.169\.254"):
            await client.get(f"http://shop.example:{server.port}/")
    assert sockets == [("127.0.0.1", server.port)]
