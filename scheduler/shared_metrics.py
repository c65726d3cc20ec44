"""The metrics of several processes together, which they share in the files of a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

START = "process_start_time_seconds"


class SharedMetrics(Collector):
    """What processes have counted, also those that have ended, and what those that run use together."""

    def __init__(self, directory: Path, running: Callable[[], Iterable[int]]) -> None:
        """`running` returns the ids of those that run."""
        self._directory = directory
        self._running = running

    def collect(self) -> Iterator[Metric]:
        """Reads the files; forgets what ended processes show as their present state."""
        running = set(self._running())
        for file in self._directory.glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if pid not in running:
                mark_process_dead(pid, str(self._directory))  # type: ignore[no-untyped-call]
        yield from MultiProcessCollector(None, str(self._directory)).collect()  # type: ignore[no-untyped-call]
        yield from _used_by(running)


def _used_by(pids: Iterable[int]) -> Iterator[Metric]:
    """Yields what prometheus_client shows of a process: the sums over all, and when the first one started."""
    found: dict[str, Metric] = {}
    values: dict[str, list[float]] = {}
    for pid in pids:
        for family in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
            for sample in family.samples:
                found.setdefault(sample.name, Metric(family.name, family.documentation, family.type))
                values.setdefault(sample.name, []).append(sample.value)
    for name, metric in found.items():
        metric.add_sample(name, {}, min(values[name]) if name == START else sum(values[name]))
        yield metric
