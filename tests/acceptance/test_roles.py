"""Schedulers and invokers behind a transaction pooler: added and removed during firings, and nothing is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from scheduler.storage.engine import Database
from tests.acceptance.fleet import fleet
from tests.support.database import rows
from tests.support.invocations import fire, make_agent_with_trigger
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Databases

PATIENCE = 60.0
OPEN = "SELECT id FROM firings WHERE state = 'pending'"


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_workers_of_each_role_come_and_go_under_load(
    db: Database, database_url: str, databases: Databases, tmp_path: Path
) -> None:
    woken = [make_agent_with_trigger(db, f"agent-{n}") for n in range(5)]
    recorded: list[UUID] = []

    def load(condition: Callable[[], object], what: str) -> None:
        def busy() -> object:
            recorded.extend(fired for each in woken for fired in fire(db, each))
            return condition()

        wait_for(busy, what)

    def ran() -> int:
        return len(rows(db, "SELECT id FROM invocations WHERE state = 'succeeded'"))

    variables = {
        "REVEILLE_COMMANDS": json.dumps({"echo": ["/bin/echo", "awake"]}),
        "DATABASE_DIRECT_URL": database_url,
    }
    with pgbouncer(databases, size=8) as pooler, fleet(pooler.url(database_url), tmp_path, **variables) as run:
        run.start("scheduler-1")
        run.start("invoker-1")
        load(lambda: ran() >= 5, "the first runs")
        run.start("invoker-2")
        run.start("scheduler-2")
        load(lambda: len(rows(db, "SELECT 1 FROM procrastinate_workers")) == 6, "the second invoker")
        load(lambda: len(rows(db, "SELECT 1 FROM scheduler_processes")) == 2, "the second scheduler")
        run.kill("scheduler-1", signal.SIGTERM)
        run.kill("invoker-1", signal.SIGTERM)
        so_far = ran()
        load(lambda: ran() > so_far, "runs by those that were added")
        wait_for(lambda: not rows(db, OPEN), "the end of the rest")
        logs = {name: run.log(name) for name in run.names()}
    for name, log in logs.items():
        assert "WARNING" not in log, (name, log)
        assert "ERROR" not in log, (name, log)
    assert "it schedules\n" in logs["scheduler-1"]
    for jobs in ("few due\n", "many due, checks polls, notifies\n"):
        assert f"it wakes agents of tenants with {jobs}" in logs["invoker-1"]
    ids = [row[0] for row in rows(db, "SELECT unnest(firing_ids) FROM invocations WHERE state = 'succeeded'")]
    assert sorted(ids) == sorted(recorded)
    assert {row[0] for row in rows(db, "SELECT attempt FROM invocations WHERE state = 'succeeded'")} == {1}
