"""Measures in a separate process what stored triggers that are not due cost a scheduler.

`python -m tests.bench.stored` runs only this.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import psutil
from sqlalchemy import text

from scheduler.clock.scheduler import LedgerScheduler
from scheduler.domain.clock import SystemClock
from scheduler.storage.engine import BY_INDEX, Database
from tests.bench.population import MAKE_DUE, populate
from tests.bench.scheduling import LATENESS, percentile
from tests.bench.server import bench_server, sqlalchemy_url
from tests.support.postgres import Databases
from tests.support.stepped_scheduler import SteppedScheduler

FEW, MANY = 1000, 1_000_000
DUE = 1000
PASSES = 200


@dataclass(frozen=True, slots=True)
class Stored:
    """The figures with so many triggers."""

    start_ms: float
    """From the start to the end of the first pass."""
    idle_ms: float
    """An idle pass, the median."""
    late_ms: float
    """The p99 lateness of DUE triggers that are due in one second."""
    megabytes: float
    """Resident memory at the end."""


def stored(databases: Databases, count: int) -> Stored:
    """Stores `count` triggers, and measures a scheduler in a separate process."""
    url = databases.create()
    try:
        db = Database(sqlalchemy_url(url))
        populate(db, count)
        db.dispose()
        command = [sys.executable, "-m", "tests.bench.stored", url]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        return Stored(**json.loads(ended.stdout))
    finally:
        databases.drop(url)


def measure(url: str) -> Stored:
    """Measures in this process."""
    began = time.perf_counter()
    db = Database(sqlalchemy_url(url), pool_size=2, options=BY_INDEX)
    scheduler = SteppedScheduler(db, SystemClock())
    scheduler.start()
    scheduler.run_pass()
    start = time.perf_counter() - began
    took = []
    for _ in range(PASSES):
        began = time.perf_counter()
        scheduler.run_pass()
        took.append(time.perf_counter() - began)
    scheduler.shutdown()
    late = _lateness(db)
    db.dispose()
    return Stored(
        start * 1000,
        statistics.median(took) * 1000,
        percentile(late, 0.99) * 1000,
        psutil.Process().memory_info().rss / 1e6,
    )


def _lateness(db: Database) -> list[float]:
    slot = datetime.now(UTC) + timedelta(seconds=3)  # noqa: TID251
    with db.begin() as conn:
        conn.execute(MAKE_DUE, {"slot": slot, "count": DUE})
    scheduler = LedgerScheduler(db, SystemClock())
    scheduler.start()
    try:
        while True:
            time.sleep(0.2)
            with db.begin() as conn:
                if (conn.scalar(text("SELECT count(*) FROM firings")) or 0) >= DUE:
                    return list(conn.scalars(LATENESS))
    finally:
        scheduler.shutdown()


def main(arguments: list[str]) -> int:
    """Prints the figures: of the named database, or of FEW and MANY triggers."""
    if arguments:
        print(json.dumps(asdict(measure(arguments[0]))))  # noqa: T201
        return 0
    with bench_server() as databases:
        for count in (FEW, MANY):
            print(f"{count:,}", stored(databases, count))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
