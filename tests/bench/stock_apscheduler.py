"""APScheduler 3.11 as shipped, doing the minimum of what Reveille's scheduler does: one row per run."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from psycopg_pool import ConnectionPool

from tests.bench.server import sqlalchemy_url

POOL: ConnectionPool | None = None


def insert_row(slot: float) -> None:
    """The job: writes one row that says which slot ran."""
    assert POOL is not None
    with POOL.connection() as conn:
        conn.execute("INSERT INTO stock_runs (slot) VALUES (to_timestamp(%s))", [slot])


def run_stock(url: str, count: int) -> list[float]:
    """Runs `count` jobs due in the same second; returns their latenesses in seconds, measured until each row's
    commit.
    """
    global POOL  # a pickled job finds its function by name, and that function its pool
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE stock_runs (slot timestamptz NOT NULL)")
    with ConnectionPool(url, min_size=10, max_size=10) as POOL:
        scheduler = BackgroundScheduler(
            timezone=UTC,
            jobstores={"default": SQLAlchemyJobStore(url=sqlalchemy_url(url))},
            executors={"default": ThreadPoolExecutor(10)},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        scheduler.start(paused=True)
        ahead = 3 + count / 250  # adding a job takes 2 to 4 ms
        while _add(scheduler, count, ahead) <= _now():
            scheduler.remove_all_jobs()
            ahead *= 2
        scheduler.resume()
        _wait_for(url, count)
        scheduler.shutdown()
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - slot)::float8 FROM stock_runs"
        )
        return [row[0] for row in rows]


def _add(scheduler: BackgroundScheduler, count: int, ahead: float) -> datetime:
    """Adds the jobs; returns when they are due. On a busy machine that may have passed by then."""
    slot = _now() + timedelta(seconds=ahead)
    for _ in range(count):
        scheduler.add_job(insert_row, "interval", [slot.timestamp()], hours=1, start_date=slot, next_run_time=slot)
    return slot


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251


def _wait_for(url: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        while True:
            row = conn.execute("SELECT count(*) FROM stock_runs").fetchone()
            if row is not None and row[0] >= count:
                return
            time.sleep(0.2)
