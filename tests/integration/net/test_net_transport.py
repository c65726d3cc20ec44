"""The transport that uses a separate connection for each request."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from scheduler.net.transport import Gate, GuardedTransport
from tests.integration.net.net_servers import LOOPBACK, Exchange, serve

BIG = 2 * 1024 * 1024


def transport() -> GuardedTransport:
    return GuardedTransport(Gate(allow_private=LOOPBACK))


async def _get(url: str, body: bytes = b"", **timeout: float) -> httpx.Response:
    request = httpx.Request("POST", url, content=body, extensions={"timeout": timeout})
    return await transport().handle_async_request(request)


def test_a_server_waits_while_nobody_reads_its_body_and_all_of_it_comes() -> None:
    sent = 0

    async def answer(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (20 * BIG))
        for _ in range(20):
            await exchange.send(b"x" * BIG)
            sent += BIG

    async def run() -> None:
        async with serve(answer) as server:
            response = await _get(server.url)
            for _ in range(100):
                await asyncio.sleep(0)
            assert sent < 20 * BIG
            assert len(await response.aread()) == 20 * BIG
            await response.aclose()

    asyncio.run(run())


def test_an_answer_that_comes_before_the_body_was_taken_is_read() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()
        writer.transport.abort()  # with most of the body unread, so that the connection is reset

    async def run() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            response = await _get(f"http://127.0.0.1:{port}/", b"x" * BIG)
            assert (response.status_code, await response.aread()) == (413, b"big")
            await response.aclose()

    asyncio.run(run())


def test_a_body_that_breaks_off_is_an_error_after_what_came() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def run() -> None:
        async with serve(answer) as server:
            response = await _get(server.url)
            stream = response.aiter_raw()
            assert await anext(stream) == b"half"
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(stream)
            await response.aclose()

    asyncio.run(run())


def test_a_server_that_says_nothing_is_given_up_after_the_timeout_for_reading() -> None:
    async def answer(_: Exchange) -> None:
        await asyncio.sleep(30)

    async def run() -> None:
        async with serve(answer) as server:
            with pytest.raises(httpx.ReadTimeout):
                await _get(server.url, read=0.05)

    asyncio.run(run())


def test_a_request_that_is_cancelled_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        try:
            while True:
                await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                await asyncio.sleep(0.01)
        except ConnectionError:
            closed.set()

    async def run() -> None:
        async with serve(answer) as server:
            running = asyncio.ensure_future(_get(server.url))
            while not server.exchanges:
                await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.wait([running])
            await asyncio.wait_for(closed.wait(), 5)

    asyncio.run(run())
