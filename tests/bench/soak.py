"""Measures what metrics and traces cost: services side by side, with and without them, of agents that are woken
each second.

Each has a PostgreSQL of its own, and all are restarted in each round. By turns they could not be compared on a shared
machine: what a wake costs differs there by a third from one minute to the next.

`python -m tests.bench.soak SECONDS ROUNDS` runs only this, with rounds of so many seconds.
"""

from __future__ import annotations

import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import LiteralString

import httpx
import psutil
import psycopg

from tests.acceptance.fleet import Fleet, fleet
from tests.bench.due_to_called import called
from tests.bench.server import bench_server
from tests.bench.span_receiver import span_receiver, spans_in
from tests.support.web import free_port

AGENTS = 40
SECONDS, ROUNDS = 30, 3
SCRAPE_SECONDS = 5.0
WARM_SECONDS = 8.0
"""From when all processes are ready until it is measured: what was missed meanwhile is then caught up."""
TARGET = 1.1
NO_BUDGET = {"max_tokens_per_day": None, "max_invocations_per_hour": None}
"""Else they would be held after ten minutes."""
PROCESSES = ("web", "worker")

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
    METRICS = "metrics"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Cost:
    """The CPU of one firing with its wake, in milliseconds."""

    service: float
    """That of the web server and the worker."""
    database: float
    wakes: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was measured in each round, and the spans that arrived."""

    costs: Mapping[Mode, Sequence[Cost]]
    due: int
    """The spans that were to be exported."""
    missing: int
    twice: int

    def cost(self, mode: Mode, figure: str = "service") -> float:
        """Returns the median of a figure over the rounds."""
        return float(statistics.median(getattr(each, figure) for each in self.costs[mode]))

    def ratio(self, mode: Mode, figure: str = "service") -> float:
        """Returns the median over the rounds of what it costs in `mode` against with everything off."""
        pairs = zip(self.costs[mode], self.costs[Mode.OFF], strict=True)
        return float(statistics.median(getattr(one, figure) / getattr(off, figure) for one, off in pairs))


class Service:
    """A service whose processes are measured, in one of the modes."""

    def __init__(self, mode: Mode, processes: Fleet, postmaster: int, url: str, spans: tuple[str, Path]) -> None:
        """`spans`: where they go, and the file in which they end up."""
        self._mode = mode
        self._processes = processes
        self._postmaster = postmaster
        self._conn = psycopg.connect(url, autocommit=True)
        endpoint, self._arrived = spans
        metrics_port = 0 if mode is Mode.OFF else free_port()
        variables = {"REVEILLE_METRICS_PORT": str(metrics_port)}
        if mode is Mode.ALL:
            variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        for name in PROCESSES:
            processes.set_variables(name, variables)
        self._scraped = (
            [f"{processes.url}/metrics", f"http://127.0.0.1:{metrics_port}/metrics"] if metrics_port else []
        )
        self._since: object = None
        self.due = 0
        """The spans that were to be exported so far."""

    def start(self) -> None:
        """Starts the processes; exports begin with what ends from now on."""
        [self._since] = self._conn.execute(BEGIN_EXPORT).fetchone() or [None]
        for name in PROCESSES:
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
        service = sum(_cpu_seconds(self._processes.pid(name)) for name in PROCESSES)
        return service, _cpu_seconds(self._postmaster), _number(self._conn, ENDED)

    def stop(self) -> None:
        """Stops the processes."""
        for name in PROCESSES:
            self._processes.kill(name, signal.SIGTERM)
        if self._mode is Mode.ALL:
            self.due += _number(self._conn, SPANS, self._since)

    def spans(self) -> list[tuple[bytes, bytes]]:
        """Returns the ids of the spans that arrived."""
        return [(each.trace_id, each.span_id) for each in spans_in(self._arrived)]

    def make_agents(self, url: str) -> None:
        """Creates AGENTS agents, each with a trigger of each second, spread over the second."""
        self.start()
        self.wait_ready()
        runtime = {"kind": "http", "url": url}
        trigger = {
            "name": "tick",
            "type": "interval",
            "config": {"seconds": 1},
            "cooldown_seconds": 0,
            "reason": "",
        }
        with self._processes.api() as api:
            for number in range(AGENTS):
                agent = {"name": f"agent {number}", "runtime": runtime, "dedup_delay_seconds": 0, **NO_BUDGET}
                made = api.post("/agents", json=agent).raise_for_status().json()
                api.post(f"/agents/{made['id']}/triggers", json=trigger).raise_for_status()
        self.stop()


@contextmanager
def service(mode: Mode) -> Iterator[Service]:
    """Runs a PostgreSQL, agents and a receiver of spans; yields a service for them, not yet started."""
    with (
        bench_server() as databases,
        tempfile.TemporaryDirectory() as directory,
        called(Path(directory)) as (port, _),
        span_receiver(Path(directory)) as spans,
        fleet(
            databases.create(),
            Path(directory),
            REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1",
            REVEILLE_CANARY="true",
            REVEILLE_LOG_LEVEL="WARNING",
        ) as processes,
    ):
        assert databases.server.pid is not None
        url = processes.environment["DATABASE_URL"]
        processes.migrate()
        one = Service(mode, processes, databases.server.pid, url, spans)
        one.make_agents(f"http://127.0.0.1:{port}/run")
        yield one


def _number(conn: psycopg.Connection, query: LiteralString, *values: object) -> int:
    [number] = conn.execute(query, values).fetchone() or [0]
    return int(number or 0)


def _cpu_seconds(pid: int) -> float:
    """Returns the CPU of a process and of its children, also of those that have ended."""
    process = psutil.Process(pid)
    family = (process, *process.children(recursive=True))
    return sum((float(each) for one in family for each in one.cpu_times()[:4]), 0.0)


@contextmanager
def _scraping(services: Sequence[Service]) -> Iterator[None]:
    """Reads the metrics of services again and again, until the end of the block."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(SCRAPE_SECONDS):
            for one in services:
                one.scrape()

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _measure(services: Mapping[Mode, Service], seconds: float) -> dict[Mode, Cost]:
    """Starts the services, lets them catch up, measures them for so long, and stops them."""
    for one in services.values():
        one.start()
    for one in services.values():
        one.wait_ready()
    with _scraping([*services.values()]):
        time.sleep(WARM_SECONDS)
        before = {mode: one.sample() for mode, one in services.items()}
        time.sleep(seconds)
        after = {mode: one.sample() for mode, one in services.items()}
    for one in services.values():
        one.stop()
    costs = {}
    for mode in services:
        used, of_database, wakes = (late - early for early, late in zip(before[mode], after[mode], strict=True))
        costs[mode] = Cost(used * 1000 / wakes, of_database * 1000 / wakes, int(wakes))
    return costs


def soak(seconds: float, rounds: int, say: Callable[[str], None] = lambda _: None) -> Soaked:
    """Measures a service in each mode, side by side, `rounds` times for `seconds`."""
    costs: dict[Mode, list[Cost]] = {mode: [] for mode in Mode}
    with ExitStack() as stack:
        services = {mode: stack.enter_context(service(mode)) for mode in Mode}
        for number in range(rounds):
            for mode, cost in _measure(services, seconds).items():
                costs[mode].append(cost)
                say(
                    f"{number + 1} {mode:<8} {cost.service:.2f} ms, PostgreSQL {cost.database:.2f} ms,"
                    f" {cost.wakes / seconds:.1f} wakes per s, load {psutil.getloadavg()[0]:.1f}"
                )
        spans, due = services[Mode.ALL].spans(), services[Mode.ALL].due
    different = len(set(spans))
    return Soaked(costs, due, due - different, len(spans) - different)


def main(arguments: list[str]) -> int:
    """Prints each round, then the medians and ratios. Exits 1 when the target is missed."""
    seconds = float(arguments[0]) if arguments else SECONDS
    rounds = int(arguments[1]) if len(arguments) > 1 else ROUNDS
    soaked = soak(seconds, rounds, lambda line: print(line, flush=True))  # noqa: T201
    for mode in Mode:
        print(  # noqa: T201
            f"{mode:<8} {soaked.cost(mode):.2f} ms ({soaked.ratio(mode):.3f}),"
            f" PostgreSQL {soaked.cost(mode, 'database'):.2f} ms ({soaked.ratio(mode, 'database'):.3f})"
        )
    print(f"{soaked.due} spans, {soaked.missing} missing, {soaked.twice} sent twice")  # noqa: T201
    return 0 if soaked.ratio(Mode.ALL) <= TARGET and not soaked.missing else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
