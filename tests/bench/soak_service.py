"""A service of agents that are woken each second, whose CPU is measured with and without metrics and traces."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import LiteralString

import httpx
import psutil
import psycopg

from scheduler.postgres.embedded import EmbeddedPostgres
from tests.acceptance.fleet import Fleet, fleet
from tests.support.web import free_port

AGENTS = 20
PROCESSES = ("web", "worker")
NO_BUDGET = {"max_tokens_per_day": None, "max_invocations_per_hour": None}
"""Else they would be held after ten minutes."""
TRIGGER = {"name": "tick", "type": "interval", "config": {"seconds": 1}, "cooldown_seconds": 0, "reason": ""}

SPACE = """
    WITH placed AS (
        SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM triggers WHERE name = 'tick'
    ), anchored AS (
        UPDATE triggers t SET anchor_at = date_trunc('second', now()) + place * make_interval(secs => %s)
        FROM placed WHERE placed.id = t.id RETURNING t.id, anchor_at
    )
    UPDATE jobs SET next_run_time = anchor_at + interval '1 second' FROM anchored WHERE trigger_id = id
"""
REST = "UPDATE jobs SET next_run_time = now() + interval '1 day'"
ENDED = "SELECT count(*) FROM invocations WHERE state = 'succeeded'"
SPANS = """
    SELECT sum(2 + cardinality(firing_ids) + jsonb_array_length(tries)) FROM invocations
    WHERE tenant_id = (SELECT id FROM tenants WHERE name = 'default')
    AND finished_at > %s AND finished_at <= (SELECT until FROM trace_exports)
"""
"""The window and the whole of each exported wake, its firings and its attempts."""
BEGIN_EXPORT = """
    INSERT INTO trace_exports (id, until) VALUES (1, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET until = excluded.until RETURNING until
"""


class Mode(StrEnum):
    """What is switched on."""

    OFF = "off"
    ALSO_OFF = "also off"
    METRICS = "metrics"
    ALL = "all"


BOTH_OFF = (Mode.OFF, Mode.ALSO_OFF)


class Service:
    """A service whose processes are measured, in any of the modes."""

    def __init__(self, processes: Fleet, postgres: EmbeddedPostgres, receiver: str) -> None:
        """`receiver`: the address where spans go."""
        self._processes = processes
        self._postgres = postgres
        self._conn = psycopg.connect(postgres.url, autocommit=True)
        self._receiver = receiver
        self._scraped: list[str] = []
        self._exported_since: object = None
        self.due_spans = 0
        """The spans that were to be exported so far."""

    def start(self, mode: Mode) -> None:
        """Starts the processes; exports begin with what ends from now on."""
        metrics_port = 0 if mode in BOTH_OFF else free_port()
        variables = {"REVEILLE_METRICS_PORT": str(metrics_port)}
        worker = f"http://127.0.0.1:{metrics_port}"
        self._scraped = [f"{each}/metrics" for each in (self._processes.url, worker)] if metrics_port else []
        self._exported_since = None
        if mode is Mode.ALL:
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = self._receiver
            [self._exported_since] = self._conn.execute(BEGIN_EXPORT).fetchone() or [None]
        for name in PROCESSES:
            self._processes.set_variables(name, variables)
            self._processes.start(name)

    def wait_ready(self) -> None:
        """Waits until it works."""
        self._processes.wait_ready(120)

    def scrape(self) -> None:
        """Reads its metrics, as Prometheus does."""
        for url in self._scraped:
            httpx.get(url, timeout=30).raise_for_status()

    def sample(self) -> tuple[float, float, int]:
        """Returns seconds of CPU of its processes and of PostgreSQL, and its wakes so far."""
        assert self._postgres.pid is not None
        service = sum(_cpu_seconds(self._processes.pid(name)) for name in PROCESSES)
        return service, _cpu_seconds(self._postgres.pid), self._number(ENDED)

    def stop(self) -> None:
        """Stops the processes."""
        for name in PROCESSES:
            self._processes.kill(name, signal.SIGTERM)
        if self._exported_since is not None:
            self.due_spans += self._number(SPANS, self._exported_since)

    def make_agents(self, url: str) -> None:
        """Creates AGENTS agents in an empty database, each with a trigger of each second."""
        self._processes.migrate()
        self.start(Mode.OFF)
        self.wait_ready()
        runtime = {"kind": "http", "url": url}
        with self._processes.api() as api:
            for number in range(AGENTS):
                agent = {"name": f"agent {number}", "runtime": runtime, "dedup_delay_seconds": 0, **NO_BUDGET}
                made = api.post("/agents", json=agent).raise_for_status().json()
                api.post(f"/agents/{made['id']}/triggers", json=TRIGGER).raise_for_status()
        self.stop()
        self.space(0)

    def space(self, seconds: float | None) -> None:
        """Lets the triggers be due so long after one another within each second; None: not at all."""
        if seconds is None:
            self._conn.execute(REST)
        else:
            self._conn.execute(SPACE, (seconds,))
        self._conn.execute("NOTIFY reveille_wake")

    def _number(self, query: LiteralString, *values: object) -> int:
        [number] = self._conn.execute(query, values).fetchone() or [0]
        return int(number or 0)


@contextmanager
def service(directory: Path, receiver: str) -> Iterator[Service]:
    """Runs a PostgreSQL on `directory`; yields a service for it, not yet started."""
    postgres = EmbeddedPostgres(directory)
    url = postgres.start()
    try:
        with fleet(
            url,
            directory,
            REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1",
            REVEILLE_CANARY="true",
            REVEILLE_LOG_LEVEL="WARNING",
        ) as processes:
            yield Service(processes, postgres, receiver)
    finally:
        postgres.stop()


def copies(directory: Path, count: int, url: str) -> list[Path]:
    """Makes `count` directories for services, all with the same agents, which are called at `url`."""
    first, *others = (directory / str(number) for number in range(count))
    with service(first, receiver="") as one:
        one.make_agents(url)
    for other in others:
        subprocess.run(["cp", "-a", first, other], check=True)  # keeps the owners, whom PostgreSQL checks
    return [first, *others]


def _cpu_seconds(pid: int) -> float:
    """Returns the CPU of a process and of its children, also of those that have ended."""
    process = psutil.Process(pid)
    family = (process, *process.children(recursive=True))
    return sum((float(each) for one in family for each in one.cpu_times()[:4]), 0.0)
