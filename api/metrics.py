"""/metrics for Prometheus, without a key: the state of the service, read from the database at each scrape, and the
counters of this web server's processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.services import services
from config.settings import shared_metrics
from scheduler.alerts.service import ADVICE
from scheduler.alerts.service_rules import database_space_of
from scheduler.domain.errors import DatabaseUnavailable
from scheduler.domain.model import FINAL_STATES, FiringState, InvocationState
from scheduler.metrics import REGISTRY
from scheduler.storage.read_models.status import Figures, read_figures
from scheduler.storage.retention import read_removed

RECENT = "of the newest 10,000, those of the last 15 minutes"
OPEN_STATES = [
    state.value for state in InvocationState if state not in FINAL_STATES | {InvocationState.COLLECTING}
]
QUANTILES = ("0.5", "0.99", "1")

metrics = Blueprint("metrics", __name__)


@metrics.get("/metrics")
def show_metrics() -> Response:
    """Return the metrics in Prometheus' text format. In an outage the database's are only `reveille_database_up 0`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape())
    return Response(generate_latest(_counted()) + generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _counted() -> CollectorRegistry:
    """Returns the counters of this process; under gunicorn, of all processes of the server."""
    directory = shared_metrics()
    if directory is None:
        return REGISTRY
    everything = CollectorRegistry()
    MultiProcessCollector(everything, directory)  # type: ignore[no-untyped-call]
    return everything


class _Scrape(Collector):
    """One scrape."""

    def collect(self) -> Iterator[Metric]:
        """Reads and yields the metrics."""
        try:
            with services().db.begin() as conn:
                figures, pruned = read_figures(conn), read_removed(conn)
        except DatabaseUnavailable:
            yield gauge("database_up", "Whether the database answers", 0)
            return
        yield gauge("database_up", "Whether the database answers", 1)
        yield from _under_way(figures)
        yield from _recent(figures)
        yield from _ages(figures)
        yield _pruned(pruned)
        yield from _stock(figures)
        yield from _canary(figures)


def _under_way(figures: Figures) -> Iterator[GaugeMetricFamily]:
    windows = {"open": 0, "busy": 0, "paused": 0, "budget": 0}
    counts = dict.fromkeys(OPEN_STATES, 0)
    for row in figures.open:
        if row.state == InvocationState.COLLECTING:
            windows[row.held_reason or "open"] = row.invocations
        else:
            counts[row.state] = row.invocations
    yield labelled("windows", "Collecting invocations: open, or held for a reason", "state", windows)
    yield labelled("invocations", "Invocations under way", "state", counts)
    pending = sum(row.firings for row in figures.open)
    yield gauge("firings_pending", "Firings recorded and not yet delivered, in windows and invocations", pending)


def _recent(figures: Figures) -> Iterator[Metric]:
    firings = {state.value: figures.recent_firings.get(state, 0) for state in FiringState}
    yield labelled("recent_firings", f"Firings by state, {RECENT}", "state", firings)
    ends = {state.value: figures.recent_ends.get(state, 0) for state in sorted(FINAL_STATES)}
    yield labelled("recent_invocations", f"Ended invocations by state, {RECENT}", "state", ends)
    if figures.lateness is not None:
        late = dict(zip(QUANTILES, figures.lateness, strict=True))
        summary = Metric("reveille_lateness_seconds", f"Between slot and firing, {RECENT}", "summary")
        for quantile, seconds in late.items():
            summary.add_sample(summary.name, {"quantile": quantile}, seconds)
        yield summary


def _ages(figures: Figures) -> Iterator[GaugeMetricFamily]:
    due = [row.oldest_due_age for row in figures.open if row.oldest_due_age is not None]
    yield gauge("oldest_due_window_age_seconds", "How long the oldest due window waits", max(due, default=0))
    yield gauge("overdue_job_age_seconds", "How long the most overdue trigger waits", figures.overdue)
    if figures.signs.last_pass_age is not None:
        yield gauge("last_pass_age_seconds", "Since a scheduler's last pass", figures.signs.last_pass_age)
    if figures.signs.worker_heartbeat_age is not None:
        age = figures.signs.worker_heartbeat_age
        yield gauge("worker_heartbeat_age_seconds", "Since a worker's last heartbeat", age)


def _canary(figures: Figures) -> Iterator[GaugeMetricFamily]:
    if figures.canary is not None:
        text = "From a slot of the canary to the end of its invocation"
        yield gauge("canary_duration_seconds", text, figures.canary)


def _stock(figures: Figures) -> Iterator[GaugeMetricFamily]:
    stock = figures.stock
    yield labelled("queue_jobs", "Jobs in the queue that no worker has taken", "queue", stock.queue)
    yield labelled("rows", "Rows of a table, as PostgreSQL estimates them", "table", stock.rows)
    yield labelled("alerts_open", "Open alerts", "rule", dict.fromkeys(ADVICE, 0) | stock.alerts)
    drifted = stock.alerts.get("schedule_drift", 0)
    yield gauge("drifted_triggers", "Triggers that disagreed with their jobs at the last check", drifted)
    yield gauge("database_size_bytes", "Size of the database", stock.size)
    free = database_space_of(services().settings).free()
    if free is not None:
        yield gauge("disk_free_bytes", "Free space on the disk of the embedded database", free)


def _pruned(removed: Mapping[str, int]) -> CounterMetricFamily:
    text = "Rows of history removed since their days had passed"
    family = CounterMetricFamily("reveille_pruned_rows", text, labels=["kind"])
    for kind, rows in removed.items():
        family.add_metric([kind], rows)
    return family


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    """Creates a gauge with a single value."""
    return GaugeMetricFamily(f"reveille_{name}", text, value=value)


def labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """Creates a gauge with one value per label."""
    family = GaugeMetricFamily(f"reveille_{name}", text, labels=[label])
    for value, figure in values.items():
        family.add_metric([str(value)], figure)
    return family
