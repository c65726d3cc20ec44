"""Measures how many polls one worker checks per minute, what that costs, and how hanging polls affect cron."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
from sqlalchemy import text

from scheduler.storage.engine import Database, notify
from tests.acceptance.fleet import ROOT, Fleet, fleet
from tests.bench.population import AGENTS, TRIGGERS_OF_AN_AGENT
from tests.bench.scheduling import percentile
from tests.bench.server import sqlalchemy_url
from tests.support.postgres import Databases

LONGEST_SECONDS = 600
JSON: Mapping[str, str] = {"json_path": "$.job.state"}

POLLS = text("""
    INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, reason)
    SELECT gen_random_uuid(), a.tenant_id, a.id, 'poll ' || n, 'poll',
        jsonb_build_object('url', CAST(:url AS text) || n, 'interval_min', 1440) || CAST(:config AS jsonb),
        'UTC', 'a bench'
    FROM generate_series(1, :polls) AS n
    JOIN (SELECT *, row_number() OVER () AS place FROM agents) a ON a.place = 1 + n / :each
""")

CRONS = text("""
    INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, reason, cooldown_seconds)
    SELECT gen_random_uuid(), a.tenant_id, a.id, 'cron ' || n, 'cron',
        '{"expr": "* * * * * *", "seconds": "first"}', 'UTC', 'a bench', 0
    FROM generate_series(1, :crons) AS n JOIN (SELECT * FROM agents LIMIT 1) a ON true
""")

NEVER_WOKEN = text("UPDATE agents SET max_batch = 1000000000, dedup_delay_seconds = 3600")

JOBS = text("""
    INSERT INTO jobs (trigger_id, kind, next_run_time)
    SELECT id, 'fire', clock_timestamp() + interval '1 day' FROM triggers
""")

START = text("""
    UPDATE jobs SET next_run_time = date_trunc('second', now()) + interval '1 second'
    FROM triggers WHERE id = trigger_id AND type = :type RETURNING next_run_time
""")

# The next check is a day away, so everything that is counted happened in this measurement.
CHECKED = text("""
    SELECT count(*), extract(epoch FROM max(checked_at) - CAST(:due AS timestamptz))::float8 FROM poll_states
    WHERE poll_version >= :version
""")

LATENESS = text("""
    SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) - scheduled_for)::float8 FROM firings
    WHERE scheduled_for > CAST(:since AS timestamptz)
""")


@dataclass(frozen=True)
class PollCapacity:
    """What one worker process does with so many polls that are due at once, whose values have not changed.

    `first_per_minute`: when each has something to store, in its own transaction. `worker_cores` and
    `database_cores`: processor seconds per second, of the worker and of all of PostgreSQL, in the unchanged case.
    """

    polls: int
    per_minute: float
    first_per_minute: float
    worker_cores: float
    database_cores: float


@dataclass(frozen=True)
class CronLateness:
    """Seconds from slot to commit, of cron triggers due every second: without polls, and while polls hang.

    `hanging`: the largest number of polls in flight at once.
    """

    alone_p50: float
    alone_p99: float
    beside_p50: float
    beside_p99: float
    hanging: int


def poll_capacity(
    databases: Databases, polls: int = 10_000, *, path: str = "", config: Mapping[str, str] = JSON
) -> PollCapacity:
    """Measures the first check of each poll, then one that finds nothing new."""
    with _world(databases, path, polls=polls, crons=0, config=config) as world:
        first = world.look(polls, version=1)
        before = world.cpu()
        took = world.look(polls, version=2)
        worker, database = (now - then for now, then in zip(world.cpu(), before, strict=True))
    return PollCapacity(polls, polls / took * 60, polls / first * 60, worker / took, database / took)


def feed_capacity(databases: Databases, feeds: int = 5_000) -> PollCapacity:
    """Measures the same with feeds of 20 entries that contain their build time, so that each answer is parsed."""
    return poll_capacity(databases, feeds, path="feed/", config={"read": "feed"})


def cron_lateness(databases: Databases, *, hanging: int = 500, crons: int = 200, seconds: int = 9) -> CronLateness:
    """Measures for so many seconds alone, then for as many while so many polls are due.

    A poll hangs for ten seconds.
    """
    with _world(databases, "hang/", polls=hanging, crons=crons) as world:
        world.start("cron")
        world.await_firings()
        alone, _ = world.lateness(seconds)
        world.start("poll")
        beside, most = world.lateness(seconds)
    return CronLateness(
        statistics.median(alone),
        percentile(alone, 0.99),
        statistics.median(beside),
        percentile(beside, 0.99),
        most,
    )


class _World:
    """A worker process, the server that its polls request, and their database."""

    def __init__(self, db: Database, processes: Fleet, server: psutil.Process) -> None:
        self._db = db
        self._processes = processes
        self._server = server

    def start(self, kind_name: str) -> datetime:
        """Makes the triggers of this type due with the next second; returns that second."""
        with self._db.begin() as conn:
            due: datetime = conn.scalars(START, {"type": kind_name}).all()[0]
            notify(conn)
        return due

    def look(self, polls: int, version: int) -> float:
        """Makes all polls due; returns the seconds until each was checked so many times in all."""
        due, checked = self.start("poll"), 0
        for _ in range(LONGEST_SECONDS):
            with self._db.begin() as conn:
                checked, took = conn.execute(CHECKED, {"version": version, "due": due}).one()
            if checked == polls:
                return float(took)
            time.sleep(1)
        raise TimeoutError(f"{checked} of {polls} polls were looked at.\n{self._processes.log('worker')[-2000:]}")

    def await_firings(self) -> None:
        """Returns when the worker has recorded something; it may take long to start on a busy machine."""
        for _ in range(LONGEST_SECONDS):
            with self._db.begin() as conn:
                if conn.scalar(text("SELECT EXISTS (SELECT FROM firings)")):
                    return
            time.sleep(1)
        raise TimeoutError(f"Nothing fired.\n{self._processes.log('worker')[-2000:]}")

    def lateness(self, seconds: int) -> tuple[list[float], int]:
        """Returns the lateness in the next so many seconds, and the most connections that the server had."""
        most = 0
        with self._db.begin() as conn:
            since = conn.scalar(text("SELECT clock_timestamp()"))
        for _ in range(seconds * 2):
            time.sleep(0.5)
            most = max(most, len(self._server.net_connections()) - 1)  # one is the listening socket
        with self._db.begin() as conn:
            return list(conn.scalars(LATENESS, {"since": since})), most

    def cpu(self) -> tuple[float, float]:
        """Returns the processor seconds so far, of the worker and of PostgreSQL."""
        with self._db.begin() as conn:
            backend = psutil.Process(conn.scalar(text("SELECT pg_backend_pid()")))
        postmaster = backend.parent()
        assert postmaster is not None
        times = [each.cpu_times() for each in (postmaster, *postmaster.children())]
        ended = times[0].children_user + times[0].children_system
        return self._processes.cpu_seconds("worker"), ended + sum(each.user + each.system for each in times)


@contextmanager
def _world(
    databases: Databases, path: str, *, polls: int, crons: int, config: Mapping[str, str] = JSON
) -> Iterator[_World]:
    url = databases.create()
    db = Database(sqlalchemy_url(url), pool_size=1)
    options = {"REVEILLE_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "REVEILLE_LOG_LEVEL": "WARNING"}
    try:
        with (
            tempfile.TemporaryDirectory() as logs,
            _server() as (server, port),
            fleet(url, Path(logs), **options) as processes,
        ):
            _populate(db, f"http://127.0.0.1:{port}/{path}", polls, crons, config)
            processes.start("worker")
            yield _World(db, processes, server)
    finally:
        db.dispose()
        databases.drop(url)


@contextmanager
def _server() -> Iterator[tuple[psutil.Process, int]]:
    command = [sys.executable, "-m", "tests.bench.poll_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield psutil.Process(process.pid), int(process.stdout.readline())
        finally:
            process.kill()


def _populate(db: Database, url: str, polls: int, crons: int, config: Mapping[str, str]) -> None:
    with db.begin() as conn:
        conn.execute(AGENTS, {"agents": polls // TRIGGERS_OF_AN_AGENT + 1})
        conn.execute(NEVER_WOKEN)
        conn.execute(
            POLLS, {"polls": polls, "url": url, "each": TRIGGERS_OF_AN_AGENT, "config": json.dumps(config)}
        )
        conn.execute(CRONS, {"crons": crons})
        conn.execute(JOBS)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
