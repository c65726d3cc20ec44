"""Every URL and redirect of the shared SSRF cases, through the whole client.

A backend under httpx records the destination of each connection and connects to a loopback server; the
interpreter's own audit events show every socket that was connected.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from scheduler.net.client import Answer, GuardedClient
from scheduler.net.errors import NetworkError, UrlRefused
from scheduler.net.policy import AllowedPrivate
from scheduler.net.resolver import FixtureResolver, Resolver, SystemResolver, check_url_line
from tests.integration.net.net_servers import (
    OK,
    Exchange,
    Handler,
    Rebound,
    RecordingConnector,
    addresses,
    certificate,
    serve,
    watched_sockets,
)
from tests.support import conformance

CASES = conformance.load("ssrf/urls.json")
DNS: dict[str, list[str]] = CASES["dns"]
ROWS: list[dict[str, Any]] = CASES["cases"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fixture_resolver() -> Resolver:
    """Resolves names as the cases say; others (unusual numbers, localhost) are really resolved."""
    listed = {host: addresses(*texts) for host, texts in DNS.items()}
    return FixtureResolver(listed, fallback=SystemResolver())


@dataclass
class World:
    """A client whose connections are recorded."""

    client: GuardedClient
    connector: RecordingConnector
    sockets: list[tuple[str, int]]

    async def get(self, url: str, *, follow: bool = False) -> Answer:
        return await self.client.request("GET", url, timeout=5, max_bytes=1000, follow_redirects=follow)

    def assert_nothing_was_connected(self) -> None:
        assert self.connector.connected == []
        assert self.sockets == []

    def assert_only_public_addresses(self) -> None:
        for address, _ in self.connector.connected:
            # The interpreter's own classification, as a second opinion.
            assert ip_address(address).is_global, address
        assert len(self.sockets) == len(self.connector.connected)


@contextlib.asynccontextmanager
async def world(resolver: Resolver, tmp_path: Path, answer: bytes | Handler = OK) -> AsyncIterator[World]:
    tls, trusting = certificate(tmp_path, *DNS)
    async with serve(answer) as plain, serve(answer, tls=tls) as secure:
        connector = RecordingConnector({80: plain.port, 443: secure.port}, trusting)
        with watched_sockets() as sockets:
            async with GuardedClient(
                allow_private=AllowedPrivate(), resolver=resolver, connector=connector
            ) as client:
                yield World(client, connector, sockets)


def rows(*expected: str) -> list[Any]:
    return [pytest.param(row, id=row["id"]) for row in ROWS if row["expect"] in expected]


@pytest.mark.parametrize("row", rows("block"))
async def test_a_blocked_url_is_refused_before_any_connection(row: dict[str, Any], tmp_path: Path) -> None:
    async with world(fixture_resolver(), tmp_path) as here:
        with pytest.raises(UrlRefused):
            await here.get(row["url"])
        here.assert_nothing_was_connected()


@pytest.mark.parametrize("row", rows("allow"))
async def test_an_allowed_url_connects_to_its_public_address(row: dict[str, Any], tmp_path: Path) -> None:
    parts = urlsplit(row["url"])
    host = parts.hostname or ""
    meant = DNS.get(host, [host])
    async with world(fixture_resolver(), tmp_path) as here:
        answer = await here.get(row["url"])
        assert answer.body == b"ok"
        (address, port) = here.connector.connected[0]
        assert ip_address(address) in addresses(*meant)
        assert port == (parts.port or {"http": 80, "https": 443}[parts.scheme])
        here.assert_only_public_addresses()


@pytest.mark.parametrize("row", rows("never-private", "allow-or-block"))
async def test_a_doubtful_url_never_reaches_a_private_address(row: dict[str, Any], tmp_path: Path) -> None:
    sequence = row.get("dns_sequence")
    async with world(Rebound(sequence) if sequence else fixture_resolver(), tmp_path) as here:
        for _ in sequence or [None]:
            with contextlib.suppress(NetworkError):
                await here.get(row["url"])
        if sequence:
            assert here.connector.connected[0][0] == sequence[0][0]
        here.assert_only_public_addresses()


@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in CASES["redirects"]])
async def test_a_redirect_is_judged_like_the_first_url(row: dict[str, Any], tmp_path: Path) -> None:
    async def redirect(exchange: Exchange) -> None:
        first = exchange.request_line.startswith("GET / ")
        head = f"HTTP/1.1 {row['status']} Moved\r\nLocation: {row['location']}\r\nContent-Length: 0\r\n\r\n"
        await exchange.send(head.encode() if first else OK)

    async with world(fixture_resolver(), tmp_path, redirect) as here:
        if row["expect"] == "allow":
            assert (await here.get(row["start"], follow=True)).body == b"ok"
        else:
            with pytest.raises(UrlRefused):
                await here.get(row["start"], follow=True)
            assert len(here.connector.connected) == 1
        here.assert_only_public_addresses()


def test_the_tool_decides_every_row_as_the_client_does() -> None:
    wrong = []
    for row in ROWS:
        first_answers = {urlsplit(row["url"]).hostname: row["dns_sequence"][0]} if "dns_sequence" in row else {}
        verdict = check_url_line({"url": row["url"], "resolve": DNS | first_answers})
        if row["expect"] in ("allow", "block") and verdict["verdict"] != row["expect"]:
            wrong.append((row["id"], row["url"], verdict))
        if verdict["verdict"] == "allow" and not ip_address(verdict["address"]).is_global:
            wrong.append((row["id"], row["url"], verdict))
    assert wrong == []
