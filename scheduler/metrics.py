"""The counters and timings of each process, for Prometheus. docs/metrics.md explains every name.

Labels are our own kinds, states and names, never ids or names of users, so their number is limited. What belongs
to a transaction is counted once it is committed: `later`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loguru import logger
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from config.settings import Settings

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
TALLY = "reveille_tally"
"""The execution option of a connection whose transaction counts at its commit."""

SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
LONG = (0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
CONNECTIONS = Gauge(
    "reveille_database_connections_used",
    "Connections of a pool that are in use",
    ("pool",),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
MOST_CONNECTIONS = Gauge(
    "reveille_database_connections_limit",
    "Connections that a pool may open",
    ("pool",),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
LOOPBACK = "127.0.0.1"
PORTS = 10
"""How many ports are tried, one after the other, so that several workers of a machine do not collide."""


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"reveille_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"reveille_{name}", text, labels, buckets=buckets, registry=REGISTRY)


LATENESS = _histogram("firing_lateness_seconds", "From the time a firing was due to its record", LATE)
PASS_DURATION = _histogram("pass_duration_seconds", "Duration of a scheduler's pass", SHORT)
CLOSE_TO_CALL = _histogram("close_to_call_seconds", "From the close of a window to the call of its agent", LATE)
RUN_DURATION = _histogram("run_duration_seconds", "Duration of a run until its end or a 202", LONG, "runtime")
INTAKE_DURATION = _histogram("intake_duration_seconds", "From a request to its durable record", SHORT, "door")

FIRINGS = _counter("firings", "Firings recorded, repeated, missed and ended", "kind", "outcome")
INVOCATIONS = _counter("invocations_ended", "Invocations that ended", "state")
RETRIES = _counter("retries", "Attempts after which another one was planned")
WEBHOOKS = _counter("webhook_deliveries", "Deliveries to webhooks", "verdict")
POLLS = _counter("polls", "Checks of polls and of other kinds", "kind", "result")
REFUSED_WAKES = _counter("wakes_refused", "Wakes that a limit between agents refused", "rule")
TOKENS = _counter("tokens", "Tokens that agents used", "direction")
COST = _counter("cost", "What agents cost, in the currency of the models' prices")
SPANS = _counter("trace_spans", "Spans that were sent to the receiver of traces", "outcome")


def later(conn: Connection, count: Callable[[], object]) -> None:
    """Calls `count` when the transaction of `conn` is committed, and not if it is rolled back."""
    waiting = conn.get_execution_options().get(TALLY)
    if waiting is None:
        count()
    else:
        waiting.append(count)


def open_tally(conn: Connection) -> list[Callable[[], object]]:
    """Lets `later` wait for the end of the transaction that begins on `conn`; returns the list to settle then."""
    waiting: list[Callable[[], object]] = []
    conn.execution_options(**{TALLY: waiting})
    return waiting


def settle(waiting: Iterable[Callable[[], object]]) -> None:
    """Counts what has waited for a commit."""
    for count in waiting:
        count()


def add(counter: Counter, amount: float, *labels: str) -> Callable[[], object]:
    """Returns what adds to a counter, for `later`."""
    return lambda: (counter.labels(*labels) if labels else counter).inc(amount)


def tally_by(counter: Counter, counts: Iterable[tuple[tuple[str, ...], float]]) -> Callable[[], object]:
    """Returns what adds to each of a counter's labels, for `later`."""
    found = list(counts)

    def count() -> None:
        for labels, amount in found:
            counter.labels(*labels).inc(amount)

    return count


def serve_metrics(settings: Settings, *collectors: Collector) -> int | None:
    """Serves /metrics in a thread until the process ends; returns the port, or None if none is free.

    The process works without it. Shows the `collectors`, by default what this process counts and uses.
    """
    first = settings.metrics_port
    if first == 0:
        return None
    shown = CollectorRegistry()
    for each in collectors or (REGISTRY, ProcessCollector(registry=None)):
        shown.register(each)
    for port in range(first, min(first + PORTS, 65536)):
        try:
            start_http_server(port, settings.host or LOOPBACK, shown)
        except OSError:
            continue
        logger.debug("Metrics are served on port {}", port)
        return port
    logger.warning("No port from {} on is free for metrics: set REVEILLE_METRICS_PORT", first)
    return None
