"""Loopback servers, resolvers and recorders for the tests of the guarded HTTP client."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from scheduler.net.addresses import IPAddress
from scheduler.net.connection import Connection, Connector, Place
from scheduler.net.policy import AllowedPrivate
from scheduler.net.resolver import FixtureResolver

LOOPBACK = AllowedPrivate.parse("127.0.0.0/8, [::1]")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def addresses(*texts: str) -> list[IPAddress]:
    return [ip_address(text) for text in texts]


def names(**hosts: str) -> FixtureResolver:
    """`names(shop="127.0.0.1")` resolves `shop.example`."""
    return FixtureResolver({f"{name}.example": addresses(text) for name, text in hosts.items()})


@dataclass
class Exchange:
    """One connection as the server sees it: the request is read, the handler answers."""

    head: str
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def request_line(self) -> str:
        return self.head.partition("\r\n")[0]

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Handler = Callable[[Exchange], Awaitable[None]]


@dataclass
class Server:
    """A running server; `exchanges` holds every request so far."""

    host: str
    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


@contextlib.asynccontextmanager
async def serve(
    answer: bytes | Handler, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Answers each connection's only request with bytes or a handler, then closes it."""
    server = Server(host)
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").removesuffix("\r\n\r\n")
                exchange = Exchange(head, b"", writer)
                exchange.body = await reader.readexactly(int(exchange.headers.get("content-length", 0)))
                server.exchanges.append(exchange)
                await (exchange.send(answer) if isinstance(answer, bytes) else answer(exchange))
            finally:
                writer.close()
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(talk(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(accept, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def never(_: Exchange) -> None:
    """Never answers."""
    await asyncio.Event().wait()


class ServerContext(ssl.SSLContext):
    """Records the server name that each client requests (SNI, RFC 6066)."""

    server_names: list[str | None]


def certificate(directory: Path, *hosts: str) -> tuple[ServerContext, ssl.SSLContext]:
    """Returns a server context with a new certificate for `hosts`, and a client context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)  # noqa: TID251 - the TLS library compares with the real clock
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    path = directory / "server.pem"
    path.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    server.server_names = []
    server.sni_callback = lambda _socket, asked, _context: server.server_names.append(asked)
    return server, ssl.create_default_context(cadata=pem.decode())


class Rebound:
    """A resolver that gives one list of answers after another, and repeats the last one."""

    def __init__(self, answers: Iterable[Sequence[str]]) -> None:
        self._answers = [addresses(*texts) for texts in answers]
        self.look_ups = 0

    async def resolve(self, host: str) -> Sequence[IPAddress]:
        self.look_ups += 1
        return self._answers[min(self.look_ups, len(self._answers)) - 1]


class RecordingConnector(Connector):
    """Records the destination of each connection, and connects to a loopback server instead."""

    def __init__(self, ports: dict[int, int], trusting: ssl.SSLContext | None = None) -> None:
        super().__init__(trusting or ssl.create_default_context())
        self.connected: list[tuple[str, int]] = []
        self._ports = ports

    async def connect(self, place: Place, timeout: float | None) -> Connection:
        self.connected.append((place.address, place.port))
        port = self._ports.get(place.port, self._ports[80])
        return await super().connect(place._replace(address="127.0.0.1", port=port), timeout)


_watchers: list[list[tuple[str, int]]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        for seen in _watchers:
            seen.append((arguments[1][0], arguments[1][1]))


sys.addaudithook(_watch)


@contextlib.contextmanager
def watched_sockets() -> Iterator[list[tuple[str, int]]]:
    """Records every address that this process's sockets connect to, as reported by the interpreter."""
    seen: list[tuple[str, int]] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
