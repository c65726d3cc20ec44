"""Measures how fast firings are recorded, how late they are, and what an idle scheduler costs: ours and stock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from scheduler.clock.scheduler import LedgerScheduler
from scheduler.domain.clock import SystemClock
from scheduler.storage.engine import BY_INDEX, Database
from tests.bench.population import MAKE_DUE, populate
from tests.bench.server import sqlalchemy_url
from tests.bench.stock_apscheduler import run_stock
from tests.support.postgres import Databases
from tests.support.stepped_scheduler import stepped

LATENESS = text("""
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - scheduled_for)::float8 FROM firings
""")


@contextmanager
def fresh(databases: Databases) -> Iterator[Database]:
    """Creates a database for one measurement."""
    url = databases.create()
    db = Database(sqlalchemy_url(url), pool_size=3, options=BY_INDEX)
    try:
        yield db
    finally:
        db.dispose()
        databases.drop(url)


def percentile(values: list[float], share: float) -> float:
    """Returns the value that `share` of `values` do not exceed."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def throughput(databases: Databases, kind_name: str, count: int) -> float:
    """Returns firings per second of one scheduler, `count` triggers due at once, passes back to back."""
    with fresh(databases) as db:
        populate(db, count, kind_name)
        with stepped(db) as scheduler:
            with db.begin() as conn:
                conn.execute(MAKE_DUE, {"slot": _on_the_minute(), "count": count})
                conn.execute(text("ANALYZE jobs"))
            started = time.perf_counter()
            while scheduler.run_pass() == 0:  # a full pass starts the next at once
                pass
            took = time.perf_counter() - started
            assert _recorded(db) == count
            return count / took


def lateness(databases: Databases, count: int) -> list[float]:
    """Returns seconds from slot to commit, `count` triggers due in the same second, with the scheduler running by
    itself.
    """
    with fresh(databases) as db:
        populate(db, count)
        scheduler_db = Database(db.engine.url.render_as_string(hide_password=False), pool_size=1, options=BY_INDEX)
        scheduler = LedgerScheduler(scheduler_db, SystemClock())
        slot = datetime.now(UTC) + timedelta(seconds=3)  # noqa: TID251
        with db.begin() as conn:
            conn.execute(MAKE_DUE, {"slot": slot, "count": count})
        scheduler.start()
        try:
            while _recorded(db) < count:
                time.sleep(0.2)
        finally:
            scheduler.shutdown()
            scheduler_db.dispose()
        with db.begin() as conn:
            return list(conn.scalars(LATENESS))


def stock_lateness(databases: Databases, count: int) -> list[float]:
    """Returns the same for APScheduler as shipped."""
    url = databases.create()
    try:
        return run_stock(url, count)
    finally:
        databases.drop(url)


def idle_pass(databases: Databases, count: int, passes: int = 300) -> float:
    """Returns the median milliseconds of a pass with `count` triggers of which none is due."""
    with fresh(databases) as db:
        populate(db, count)
        with stepped(db) as scheduler:
            for _ in range(20):
                scheduler.run_pass()
            took = []
            for _ in range(passes):
                started = time.perf_counter()
                scheduler.run_pass()
                took.append((time.perf_counter() - started) * 1000)
            return statistics.median(took)


def _recorded(db: Database) -> int:
    with db.begin() as conn:
        return int(conn.scalar(text("SELECT count(*) FROM firings")) or 0)


def _on_the_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)  # noqa: TID251
