"""Measures the time from the close of a window to the call of its agent, for one agent and for many at once.

`python -m tests.bench.close_to_call` runs only this. In the same run, an idle Procrastinate worker dispatches an
empty job, and a plain loop of asyncio and httpx makes the same calls.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from procrastinate import App, PsycopgConnector

from tests.bench.due_to_called import bare_rate, wake, woken_agents
from tests.bench.scheduling import percentile
from tests.bench.server import bench_server
from tests.support.postgres import Databases

TIMES, TOGETHER, ROUNDS = 50, 100, 10
PAUSE_SECONDS = 0.1

CLOSED = "SELECT id::text, extract(epoch FROM ready_at)::float8 FROM invocations"


@dataclass(frozen=True, slots=True)
class CloseToCall:
    """Seconds of each call, in order."""

    due_alone: list[float]
    """From the slot of a single agent to its call."""
    alone: list[float]
    """From the close of its window to its call."""
    dispatch: list[float]
    """From deferring an empty job to its run by an idle Procrastinate worker."""
    together: list[float]
    """From the close of its window to its call, TOGETHER agents at once."""
    bare: float
    """The time in which the plain loop makes TOGETHER calls, at its best."""


def close_to_call(databases: Databases) -> CloseToCall:
    """Wakes one agent TIMES times, one after another, and TOGETHER agents ROUNDS times."""
    due_alone: list[float] = []
    alone: list[float] = []
    together: list[float] = []
    with woken_agents(databases, 1) as (_, _port, path, url):
        for _ in range(TIMES):
            due_alone += wake(url, path, 1, ahead=0.5)
            alone += _closed(url, path)
    dispatch = _idle_dispatch(databases)
    with woken_agents(databases, TOGETHER) as (_, port, path, url):
        bare = [bare_rate(port, TOGETHER)]
        for _ in range(ROUNDS):
            wake(url, path, TOGETHER)
            together += _closed(url, path)
            bare.append(bare_rate(port, TOGETHER))
    return CloseToCall(sorted(due_alone), sorted(alone), dispatch, sorted(together), TOGETHER / max(bare))


def _closed(url: str, path: Path) -> list[float]:
    """Returns the seconds from the close to the call of those that were called last."""
    with psycopg.connect(url) as conn:
        closed: dict[str, float] = dict(conn.execute(CLOSED).fetchall())
    called = {name: float(at) for at, name in map(str.split, path.read_text().splitlines())}
    return [at - closed[name] for name, at in called.items()]


def _idle_dispatch(databases: Databases) -> list[float]:
    url = databases.create("template0")
    try:
        return asyncio.run(_dispatched(url))
    finally:
        databases.drop(url)


async def _dispatched(url: str) -> list[float]:
    app = App(connector=PsycopgConnector(conninfo=url))
    took: list[float] = []

    @app.task(name="measure")
    async def measure(deferred: float) -> None:
        took.append(time.perf_counter() - deferred)

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        worker = asyncio.create_task(app.run_worker_async(install_signal_handlers=False))
        await asyncio.sleep(1)
        for number in range(TIMES):
            await measure.defer_async(deferred=time.perf_counter())
            while len(took) <= number:  # an event would be set by what is measured
                await asyncio.sleep(0.005)
            await asyncio.sleep(PAUSE_SECONDS)
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    return sorted(took)


def main() -> int:
    """Prints the figures."""
    with bench_server() as databases:
        found = close_to_call(databases)
    for name in ("due_alone", "alone", "dispatch", "together"):
        p50, p99 = (percentile(getattr(found, name), share) * 1000 for share in (0.5, 0.99))
        print(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")  # noqa: T201
    print(f"{TOGETHER} calls of the plain loop: {found.bare * 1000:.0f} ms")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
