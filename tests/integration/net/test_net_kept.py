"""Connections that are kept for the next request: when they are used again, and when not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from scheduler.net.client import GuardedClient
from scheduler.net.connection import Connector, KeptConnections, Place, write_request
from scheduler.net.errors import AnswerBroken, UrlRefused
from scheduler.net.policy import AllowedPrivate
from scheduler.net.resolver import Resolver
from scheduler.net.transport import default_ssl_context
from tests.integration.net.net_servers import LOOPBACK, OK, Rebound, names

pytestmark = pytest.mark.anyio

LISTED = AllowedPrivate.parse("127.0.0.1")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Agent:
    """A server that gives its `answers` in turn, on each connection as many as it is asked for."""

    def __init__(self, *answers: bytes) -> None:
        self.connections: list[list[str]] = []
        """The paths that were asked for on each."""
        self.ended = asyncio.Event()
        """Whether a connection has ended."""
        self.port = 0
        self.talks: list[asyncio.Future[None]] = []
        self._answers = [*answers]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talks.append(asyncio.ensure_future(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked: list[str] = []
        self.connections.append(asked)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while self._answers:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                asked.append(head.split()[1])
                answer = self._answers.pop(0)
                writer.write(answer)
                if not answer.startswith(b"HTTP"):
                    break
            else:
                await reader.read()
        self.ended.set()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def running(
    *answers: bytes, resolver: Resolver | None = None, allowed: AllowedPrivate = LOOPBACK
) -> AsyncIterator[tuple[Agent, GuardedClient]]:
    agent = Agent(*answers)
    async with await asyncio.start_server(agent.accept, "127.0.0.1", 0) as server:
        agent.port = server.sockets[0].getsockname()[1]
        async with GuardedClient(allow_private=allowed, resolver=resolver, keeps_alive=True) as client:
            yield agent, client
        await asyncio.gather(*agent.talks)


async def ask(
    client: GuardedClient, agent: Agent, path: str, *, host: str = "127.0.0.1", most: int = 100
) -> bytes:
    answer = await client.request(
        "POST", f"http://{host}:{agent.port}/{path}", content=b"x", timeout=30, max_bytes=most, truncate=True
    )
    return answer.body


async def test_requests_that_follow_each_other_share_a_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    empty = b"HTTP/1.1 204 Done\r\n\r\n"
    async with running(OK, chunked, empty, OK) as (agent, client):
        assert [await ask(client, agent, path) for path in "abcd"] == [b"ok", b"ok", b"", b"ok"]
    assert agent.connections == [["/a", "/b", "/c", "/d"]]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
        OK + OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nok" + b"x" * 198,
    ],
    ids=["close", "1.0", "longer than it said", "two answers", "trailers", "not read to its end"],
)
async def test_a_connection_is_not_used_again_when_something_may_be_left_on_it(answer: bytes) -> None:
    async with running(answer, OK) as (agent, client):
        assert (await ask(client, agent, "a", most=2), await ask(client, agent, "b")) == (b"ok", b"ok")
    assert agent.connections == [["/a"], ["/b"]]


async def test_a_connection_for_one_name_is_not_used_for_another() -> None:
    resolver = names(shop="127.0.0.1", other="127.0.0.1")
    async with running(OK, OK, OK, resolver=resolver) as (agent, client):
        for path, host in (("a", "shop.example"), ("b", "other.example"), ("c", "shop.example")):
            await ask(client, agent, path, host=host)
    assert agent.connections == [["/a", "/c"], ["/b"]]


async def test_every_request_is_checked_although_a_connection_is_kept() -> None:
    resolver = Rebound([["127.0.0.1"], ["10.0.0.1"]])
    async with running(OK, OK, resolver=resolver, allowed=LISTED) as (agent, client):
        await ask(client, agent, "a", host="shop.example")
        with pytest.raises(UrlRefused, match=r"10\.0\.0\.1"):
            await ask(client, agent, "b", host="shop.example")
    assert agent.connections == [["/a"]]


async def test_a_request_is_sent_again_when_a_kept_connection_ends_before_any_answer() -> None:
    async with running(OK, b"", OK) as (agent, client):
        assert [await ask(client, agent, path) for path in "ab"] == [b"ok", b"ok"]
    assert agent.connections == [["/a", "/b"], ["/b"]]


async def test_a_request_is_not_sent_again_once_an_answer_has_begun() -> None:
    async with running(OK, b" HTTP/1.1 200", OK) as (agent, client):
        await ask(client, agent, "a")
        with pytest.raises(AnswerBroken):
            await ask(client, agent, "b")
    assert agent.connections == [["/a", "/b"]]


async def test_a_request_is_not_sent_again_when_a_new_connection_breaks() -> None:
    async with running(b"", OK) as (agent, client):
        with pytest.raises(AnswerBroken):
            await ask(client, agent, "a")
    assert agent.connections == [["/a"]]


async def test_a_connection_is_kept_for_a_moment_only() -> None:
    async with running(OK, OK) as (agent, client):
        await ask(client, agent, "a")
        async with asyncio.timeout(30):
            await agent.ended.wait()
        await ask(client, agent, "b")
    assert agent.connections == [["/a"], ["/b"]]


async def test_a_connection_is_not_kept_after_a_slow_answer() -> None:
    now = asyncio.get_running_loop().time
    async with running(OK) as (agent, _):
        place = Place("http", "127.0.0.1", "127.0.0.1", agent.port)
        connection = await Connector(default_ssl_context()).connect(place, 30)
        await connection.send("GET", write_request("GET", b"/a", [], b""))
        assert [piece async for piece in connection.chunks()] == [b"ok"]
        kept = KeptConnections(60.0)
        kept.add(connection, now())
        assert kept.take([place]) is connection
        kept.add(connection, now() - 60)
        assert kept.take([place]) is None
        kept.close()
