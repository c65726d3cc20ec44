"""Measures the removal of old history: lateness beside it, and the database's size over an accelerated day.

`python -m tests.bench.retention` runs only this.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy import text

from scheduler.clock.scheduler import LedgerScheduler
from scheduler.domain.clock import SystemClock
from scheduler.domain.retention import DEFAULT_DAYS, History
from scheduler.manage.retention import Pruner
from scheduler.postgres.embedded import SUPERUSER
from scheduler.storage.engine import Database
from tests.bench.history import FIRINGS
from tests.bench.population import populate
from tests.bench.scheduling import fresh, percentile
from tests.bench.server import bench_server
from tests.support.postgres import Databases

OLD = 1_000_000
TRIGGERS = 20_000
DUE, EVERY_SECONDS, ROUNDS = 300, 0.03, 3

DAY_ROWS, STEPS, KEPT = 2_000_000, 100, 25
"""The rows of the day, written in so many steps, each kept for so many."""
FIRST_DAYS = 200

OLD_FIRINGS = text(FIRINGS.text.replace("clock_timestamp()", "clock_timestamp() - make_interval(days => :days)"))
ONE_BY_ONE = text("""
    UPDATE jobs SET next_run_time = s.slot FROM (
        SELECT trigger_id, :first + row_number() OVER () * make_interval(secs => :every) AS slot
        FROM (SELECT trigger_id FROM jobs ORDER BY random() LIMIT :count) j
    ) s WHERE jobs.trigger_id = s.trigger_id
""")
LATENESS = text("""
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - scheduled_for)::float8 FROM firings
    WHERE scheduled_for > :first
""")


@dataclass(frozen=True, slots=True)
class Pruned:
    """p99 of lateness in seconds, without and with the removal."""

    calm: float
    beside: float
    removed: int
    """The rows that were removed meanwhile."""


def lateness_beside_removal(databases: Databases, old: int = OLD) -> Pruned:
    """Makes single triggers due, alternately alone and while `old` firings are removed."""
    with fresh(databases) as db:
        populate(db, TRIGGERS)
        with db.begin() as conn:
            conn.execute(OLD_FIRINGS, {"each": old // TRIGGERS, "batch": 5, "days": FIRST_DAYS})
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.execute(text("VACUUM ANALYZE"))
        scheduler_db = Database(db.engine.url.render_as_string(hide_password=False), pool_size=2)
        scheduler = LedgerScheduler(scheduler_db, SystemClock())
        scheduler.start()
        calm, beside, removed = [], [], 0
        try:
            _late(db, scheduler)
            for _ in range(ROUNDS):
                calm += _late(db, scheduler)
                with _removal(db) as counts:
                    beside += _late(db, scheduler)
                removed += sum(counts)
        finally:
            scheduler.shutdown()
            scheduler_db.dispose()
    return Pruned(percentile(calm, 0.99), percentile(beside, 0.99), removed)


def _late(db: Database, scheduler: LedgerScheduler) -> list[float]:
    """Returns the lateness of DUE triggers, one after another."""
    first = datetime.now(UTC) + timedelta(seconds=2)  # noqa: TID251
    with db.begin() as conn:
        conn.execute(ONE_BY_ONE, {"first": first, "every": EVERY_SECONDS, "count": DUE})
    scheduler.wakeup()
    # Looking reads a million rows: only when all have been due.
    time.sleep((first - datetime.now(UTC)).total_seconds() + DUE * EVERY_SECONDS)  # noqa: TID251
    while True:
        time.sleep(1)
        with db.begin() as conn:
            came = list(conn.scalars(LATENESS, {"first": first}))
        if len(came) >= DUE:
            return came


@contextmanager
def _removal(db: Database) -> Iterator[list[int]]:
    """Removes rows as the duty does, but without its pauses; yields how many each pass removed."""
    ending, counts = threading.Event(), list[int]()
    pruner_db = Database(db.engine.url.render_as_string(hide_password=False), pool_size=1)
    pruner = Pruner(pruner_db, DEFAULT_DAYS)

    def work() -> None:
        while not ending.is_set():
            counts.append(pruner.look())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield counts
    finally:
        ending.set()
        thread.join()
        pruner_db.dispose()


def sizes_of_a_day(databases: Databases, rows: int = DAY_ROWS) -> tuple[float, float]:
    """Returns the database's size in MB halfway through an accelerated day, and at its end.

    Each step writes firings a day newer than those before and removes those of KEPT steps ago, while autovacuum
    runs more often by the same factor.
    """
    with psycopg.connect(databases.server.url_of(SUPERUSER, SUPERUSER), autocommit=True) as server:
        server.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        server.execute("SELECT pg_reload_conf()")
        try:
            with fresh(databases) as db:
                populate(db, TRIGGERS)
                sizes = [_step(db, step, rows // STEPS) for step in range(STEPS)]
        finally:
            server.execute("ALTER SYSTEM RESET autovacuum_naptime")
            server.execute("SELECT pg_reload_conf()")
    return sizes[STEPS // 2 - 1], sizes[-1]


def _step(db: Database, step: int, rows: int) -> float:
    with db.begin() as conn:
        conn.execute(OLD_FIRINGS, {"each": rows // TRIGGERS, "batch": 5, "days": FIRST_DAYS - step})
    Pruner(db, {**DEFAULT_DAYS, History.FIRINGS: FIRST_DAYS - step + KEPT}).remove()
    with db.begin() as conn:
        return float(conn.scalar(text("SELECT pg_database_size(current_database())")) or 0) / 1e6


def main() -> int:
    """Prints the figures."""
    with bench_server() as databases:
        found = lateness_beside_removal(databases)
        print(f"lateness p99 {found.calm * 1000:.1f} ms, beside the removal {found.beside * 1000:.1f} ms,")  # noqa: T201
        print(f"  ratio {found.beside / found.calm:.2f}; {found.removed:,} rows were removed")  # noqa: T201
        half, end = sizes_of_a_day(databases)
        print(f"a day of {DAY_ROWS:,} rows: {half:.0f} MB at half, {end:.0f} MB at the end, {end / half:.2f}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
