"""Measures a scheduler's memory in a separate process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import psutil

from scheduler.storage.engine import Database
from tests.bench.population import MAKE_DUE, populate
from tests.bench.server import sqlalchemy_url
from tests.support.postgres import Databases
from tests.support.stepped_scheduler import stepped

DUE = 1000
PASSES = 50


def resident_megabytes(databases: Databases, count: int) -> float:
    """Returns the resident memory of a scheduler with `count` triggers after PASSES passes, DUE triggers due in
    each tenth.
    """
    url = databases.create()
    try:
        db = Database(sqlalchemy_url(url))
        populate(db, count, "cron")
        db.dispose()
        ended = subprocess.run(
            [sys.executable, "-m", "tests.bench.memory", url], capture_output=True, text=True, check=True
        )
        return float(ended.stdout)
    finally:
        databases.drop(url)


def measure(url: str) -> float:
    """Runs the passes in this process and returns its resident memory in MB."""
    db = Database(sqlalchemy_url(url), pool_size=2)
    with stepped(db) as scheduler:
        for number in range(PASSES):
            if number % 10 == 0:
                with db.begin() as conn:
                    conn.execute(MAKE_DUE, {"slot": datetime.now(UTC), "count": DUE})  # noqa: TID251
            scheduler.run_pass()
    db.dispose()
    return psutil.Process().memory_info().rss / 1e6


if __name__ == "__main__":
    print(measure(sys.argv[1]))  # noqa: T201
