"""Reveille in the same measurements: a worker process that calls agents over HTTP."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from pathlib import Path

import psycopg

from scheduler.storage.engine import Database
from tests.bench.due_to_called import DUE, wake, woken_agents
from tests.bench.peers.measure import BURSTS, IDLE_SECONDS, KILLED, PATIENCE, SETTLE_SECONDS, STORED, Found
from tests.bench.population import populate
from tests.bench.server import sqlalchemy_url
from tests.support.postgres import Databases

WOKEN = "SELECT count(*) FILTER (WHERE finished_at IS NOT NULL) FROM invocations"


def reveille_lateness(databases: Databases, found: Found) -> None:
    """Makes the BURSTS due, one after another."""
    for count in BURSTS:
        with woken_agents(databases, count) as (_, _port, path, url):
            late = wake(url, path, count)
        found.ran[count] = len(late)
        found.lateness[count] = (statistics.median(late), late[min(int(len(late) * 0.99), len(late) - 1)])
        found.rate[count] = len(late) / late[-1]


def reveille_idle(databases: Databases, found: Found) -> None:
    """Stores STORED triggers that are not due, and measures what the worker uses."""
    with woken_agents(databases, 0) as (processes, _port, _path, url):
        db = Database(sqlalchemy_url(url))
        populate(db, STORED)
        db.dispose()
        time.sleep(SETTLE_SECONDS)
        before = processes.cpu_seconds("worker-0")
        time.sleep(IDLE_SECONDS)
        found.stored = STORED
        found.idle_cores = (processes.cpu_seconds("worker-0") - before) / IDLE_SECONDS


def reveille_killed(databases: Databases, found: Found) -> None:
    """Kills the worker during the calls. A call that was under way is repeated with the same id."""
    with (
        woken_agents(databases, KILLED) as (processes, _port, path, url),
        psycopg.connect(url, autocommit=True) as conn,
    ):
        conn.execute(DUE, (time.time() + 2,))
        conn.execute("NOTIFY reveille_wake")
        deadline = time.monotonic() + PATIENCE
        while len(_calls(path)) < KILLED // 5 and time.monotonic() < deadline:
            time.sleep(0.002)
        processes.kill("worker-0")
        processes.start("worker-0")
        while (conn.execute(WOKEN).fetchone() or [0])[0] < KILLED and time.monotonic() < deadline:
            time.sleep(0.5)
        counted = Counter(_calls(path))
    found.lost = KILLED - len(counted)
    found.doubled = sum(count > 1 for count in counted.values())


def _calls(path: Path) -> list[str]:
    return [line.split()[1] for line in path.read_text().splitlines()]
