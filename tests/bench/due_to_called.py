"""Measures the whole path: agents due at one moment, recorded, closed, claimed, called and ended by real
processes.

In the same run, a plain loop of asyncio and httpx posts bodies of that size to the same server.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from psycopg.sql import SQL

from scheduler.postgres.embedded import SUPERUSER
from tests.acceptance.fleet import Fleet, fleet
from tests.support.postgres import Databases
from tests.support.web import free_port

ANSWER = b'{"reply":"done"}'
BODY_BYTES = 1500
CONNECTIONS = (1, 10, 50)
PATIENCE = 300.0

AGENTS = """
    INSERT INTO agents (id, name, {columns}) SELECT gen_random_uuid(), 'agent ' || n, {columns}
    FROM agents, generate_series(1, %s) AS n WHERE name = 'template'
"""
TRIGGERS = """
    INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, reason, cooldown_seconds)
    SELECT gen_random_uuid(), tenant_id, id, 'bench', 'interval', '{"seconds": 86400}', 'UTC', 'a bench', 0
    FROM agents WHERE name LIKE 'agent %'
"""
DUE = """
    INSERT INTO jobs (trigger_id, kind, next_run_time) SELECT id, 'fire', to_timestamp(%s) FROM triggers
    WHERE name = 'bench' ON CONFLICT (trigger_id, kind) DO UPDATE SET next_run_time = excluded.next_run_time
"""


@dataclass(frozen=True, slots=True)
class Woken:
    """The results for so many agents that were due at once, and for the plain loop."""

    latencies: list[float]
    """Seconds from when each was due until its agent was called, in order."""
    rate: float
    """Calls per second, up to the last one."""
    cpu_ms: float
    """CPU of the worker per call."""
    bare: float
    """Posts per second of the plain loop, at its best."""


class Calls(asyncio.Protocol):
    """Answers each post at once, and records when it came and for which invocation."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if not length or len(body) < int(length) or self._transport is None:
            return
        self._received = b""
        if b"GET" in head[:3]:
            return
        if head.startswith(b"POST /run"):
            name = head.lower().partition(b"webhook-id: ")[2].split(b"\r\n")[0].decode()
            self._calls.append(f"{time.time()} {name}\n")  # wall time: compared with the slot
        if head.startswith(b"POST /hang"):
            return
        closes = b"connection: close" in head.lower()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s"
            % (len(ANSWER), b"Connection: close\r\n" if closes else b"", ANSWER)
        )
        if closes:
            self._transport.close()


def _serve(port: int, path: str) -> None:
    async def run() -> None:
        calls: list[str] = []
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: Calls(calls), "127.0.0.1", port, backlog=2048)
        while True:
            await asyncio.sleep(0.1)
            if calls:
                with Path(path).open("a") as file:
                    file.write("".join(calls))
                calls.clear()

    asyncio.run(run())


@contextmanager
def called(directory: Path) -> Iterator[tuple[int, Path]]:
    """Runs a server for agents in a separate process; yields its port and the file of call times."""
    port, path = free_port(), directory / "calls"
    path.touch()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port, str(path)), daemon=True)
    process.start()
    try:
        _wait_for_port(port)
        yield port, path
    finally:
        process.kill()
        process.join()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.post(f"http://127.0.0.1:{port}/up", timeout=5)
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("The server of the agents did not start.")


def bare_rate(port: int, count: int) -> float:
    """Returns posts per second of an asyncio loop with one httpx client: the best over CONNECTIONS."""

    async def run(connections: int) -> float:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            left = iter(range(count))

            async def post() -> None:
                for _ in left:
                    await client.post(f"http://127.0.0.1:{port}/bare", content=b"x" * BODY_BYTES)

            started = time.perf_counter()
            await asyncio.gather(*(post() for _ in range(connections)))
            return count / (time.perf_counter() - started)

    return max(asyncio.run(run(each)) for each in CONNECTIONS)


@contextmanager
def woken_agents(databases: Databases, count: int, workers: int = 1) -> Iterator[tuple[Fleet, int, Path, str]]:
    """Runs real processes with so many `http` agents, one trigger each, not due yet."""
    url = databases.create()
    with (
        tempfile.TemporaryDirectory() as logs,
        called(Path(logs)) as (port, path),
        fleet(
            url,
            Path(logs),
            REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1",
            REVEILLE_LOG_LEVEL="WARNING",
        ) as processes,
    ):
        processes.migrate()
        for name in ("web", *(f"worker-{number}" for number in range(workers))):
            processes.start(name)
        processes.wait_ready()
        with processes.api() as api, psycopg.connect(url, autocommit=True) as conn:
            runtime = {"kind": "http", "url": f"http://127.0.0.1:{port}/run"}
            api.post(
                "/agents", json={"name": "template", "runtime": runtime, "dedup_delay_seconds": 0}
            ).raise_for_status()
            query = (
                "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
                " WHERE table_name = 'agents' AND is_generated = 'NEVER' AND column_name NOT IN ('id', 'name')"
            )
            [columns] = conn.execute(query).fetchone() or [""]
            conn.execute(AGENTS.format(columns=columns).encode(), (count,))
            conn.execute(TRIGGERS)
            conn.execute("VACUUM ANALYZE")
        yield processes, port, path, url
    databases.drop(url)


def wake(url: str, path: Path, count: int, ahead: float = 2.0) -> list[float]:
    """Makes all due at one moment; returns seconds from then to each call, in order, once all have ended."""
    path.write_text("")
    with psycopg.connect(url, autocommit=True) as conn:
        slot = time.time() + ahead
        conn.execute(DUE, (slot,))
        conn.execute("NOTIFY reveille_wake")
        deadline = time.monotonic() + PATIENCE
        open_ones = "SELECT count(*) FROM invocations WHERE finished_at IS NULL"
        while len(path.read_text().splitlines()) < count or (conn.execute(open_ones).fetchone() or [0])[0]:
            assert time.monotonic() < deadline, "not all agents were called"
            time.sleep(0.2)
    return sorted(float(line.split()[0]) - slot for line in path.read_text().splitlines())


def waking(databases: Databases, count: int, workers: int = 1) -> Woken:
    """Wakes `count` agents that are due at once."""
    with woken_agents(databases, count, workers) as (processes, port, path, url):
        bare = bare_rate(port, 1000)
        names = [f"worker-{number}" for number in range(workers)]
        before = sum(map(processes.cpu_seconds, names))
        latencies = wake(url, path, count)
        cpu = sum(map(processes.cpu_seconds, names)) - before
        return Woken(latencies, count / latencies[-1], cpu * 1000 / count, max(bare, bare_rate(port, 1000)))


def statements(databases: Databases, count: int) -> float:
    """Returns the worker's statements per agent for `count` agents that are due at once, from PostgreSQL's own
    log.
    """
    server = databases.server
    with (
        woken_agents(databases, count) as (_, _port, path, url),
        psycopg.connect(server.url_of(SUPERUSER, SUPERUSER), autocommit=True) as conn,
    ):
        for setting in ("log_line_prefix = '%a '", "log_statement = 'all'"):
            conn.execute(SQL("ALTER SYSTEM SET {}").format(SQL(setting)))
        conn.execute("SELECT pg_reload_conf()")
        time.sleep(1)
        started = server.log.stat().st_size
        wake(url, path, count)
        ended = server.log.stat().st_size
        conn.execute("ALTER SYSTEM RESET ALL")
        conn.execute("SELECT pg_reload_conf()")
    written = server.log.read_bytes()[started:ended].decode(errors="replace").splitlines()
    ours = [line for line in written if line.startswith(("reveille-worker LOG:", "reveille-jobs LOG:"))]
    return sum(not line.endswith(("BEGIN", "COMMIT")) for line in ours) / count
