"""DNS rebinding: a real name server whose answer changes between two lookups."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest

from scheduler.net.addresses import IPAddress
from scheduler.net.client import GuardedClient
from scheduler.net.errors import UrlRefused
from scheduler.net.policy import AllowedPrivate
from tests.integration.net.net_servers import OK, RecordingConnector, certificate, serve, watched_sockets

pytestmark = pytest.mark.anyio

PUBLIC, PRIVATE = IPv4Address("93.184.215.14"), IPv4Address("127.0.0.1")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NameServer(asyncio.DatagramProtocol):
    """Answers each A query (RFC 1035) with the next address, repeats the last one, and uses a TTL of 0."""

    def __init__(self, *answers: IPv4Address) -> None:
        self._answers = answers
        self.queries: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.queries.append(data)
        answer = self._answers[min(len(self.queries), len(self._answers)) - 1]
        header = data[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + answer.packed
        self._transport.sendto(header + data[12:] + record, addr)


class StubResolver:
    """Asks one name server over UDP; `getaddrinfo` cannot use a port of our own."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()

        class Receiver(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                answered.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Receiver, remote_addr=("127.0.0.1", self._port))
        labels = b"".join(bytes([len(label)]) + label.encode() for label in host.split("."))
        query = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\x00" + struct.pack("!HH", 1, 1)
        with contextlib.closing(transport):
            transport.sendto(query)
            return [IPv4Address((await answered)[-4:])]


@contextlib.asynccontextmanager
async def name_server(*answers: IPv4Address) -> AsyncIterator[tuple[NameServer, int]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(*answers), local_addr=("127.0.0.1", 0)
    )
    with contextlib.closing(transport):
        yield server, transport.get_extra_info("sockname")[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_address_that_was_checked_is_the_one_connected_to(scheme: str, tmp_path: Path) -> None:
    tls, trusting = certificate(tmp_path, "rebind.example")
    async with (
        name_server(PUBLIC, PRIVATE) as (server, dns_port),
        serve(OK) as plain,
        serve(OK, tls=tls) as secure,
    ):
        connector = RecordingConnector({80: plain.port, 443: secure.port}, trusting)
        client = GuardedClient(
            allow_private=AllowedPrivate(),
            resolver=StubResolver(dns_port),
            connector=connector,
        )
        async with client:
            answer = await client.request("GET", f"{scheme}://rebind.example/", timeout=5, max_bytes=100)
            assert answer.body == b"ok"
            assert len(server.queries) == 1
            assert [address for address, _ in connector.connected] == [str(PUBLIC)]
            with pytest.raises(UrlRefused, match=r"127\.0\.0\.1"):
                await client.request("GET", f"{scheme}://rebind.example/", timeout=5, max_bytes=100)
            assert len(server.queries) == 2
            assert len(connector.connected) == 1


async def test_the_private_server_itself_is_never_connected_to() -> None:
    async with (
        name_server(PRIVATE) as (_, dns_port),
        serve(OK) as private,
        GuardedClient(allow_private=AllowedPrivate(), resolver=StubResolver(dns_port)) as client,
    ):
        url = f"http://rebind.example:{private.port}/"
        with watched_sockets() as sockets, pytest.raises(UrlRefused):
            await client.request("GET", url, timeout=5, max_bytes=100)
        assert sockets == [("127.0.0.1", dns_port)]
    assert private.exchanges == []
