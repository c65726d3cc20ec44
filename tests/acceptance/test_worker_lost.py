"""Worker processes that are killed, told to stop, or lose their database while agents run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import text

from scheduler.invocations.lifecycle import request_cancel
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import fire, firing_states, make_agent_with_trigger, row_of
from tests.support.postgres import Databases

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
AGENT = """
import json, os, pathlib, sys, time
directory = pathlib.Path(sys.argv[1])
request = json.load(sys.stdin)
name = f"{request['attempt']}"
(directory / f"{name}.started").write_text(f"{os.getpid()} {time.monotonic()}")
while not (directory / "go").exists():
    time.sleep(0.02)
(directory / f"{name}.ended").write_text(str(time.monotonic()))
print("done by attempt", name)
"""


class Workers:
    """Worker processes and the directory in which their agent's program writes its files."""

    def __init__(self, database_url: str, directory: Path) -> None:
        self.traces = directory / "traces"
        self.traces.mkdir()
        agent = directory / "agent.py"
        agent.write_text(AGENT)
        self.log = directory / "workers.log"
        self._environment = {
            **os.environ,  # noqa: TID251
            "DATABASE_URL": database_url,
            "REVEILLE_SECRET_KEY": "a key for the workers of a test",
            "REVEILLE_COMMANDS": json.dumps({"echo": [sys.executable, str(agent), str(self.traces)]}),
        }
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, grace: float = 1.0) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.acceptance.worker_process", str(grace)],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def wait_for(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true\n{self.log.read_text()[-6000:]}"
            time.sleep(0.02)

    def wait_for_start(self, attempt: int) -> int:
        """Waits until the agent runs; returns the pid of its program."""
        trace = self.traces / f"{attempt}.started"
        self.wait_for(lambda: trace.exists() and trace.read_text(), f"the start of attempt {attempt}")
        return int(trace.read_text().split()[0])

    def wait_for_workers(self, count: int) -> None:
        """Waits until so many have started, including those that have ended."""
        self.wait_for(lambda: self.log.read_text().count("The worker starts: ") >= count, f"worker {count}")

    def let_go(self) -> None:
        """Lets the agent's program end."""
        (self.traces / "go").touch()

    def kill_all(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def workers(database_url: str, tmp_path: Path) -> Iterator[Workers]:
    running = Workers(database_url, tmp_path)
    yield running
    running.kill_all()


def only_invocation(db: Database) -> UUID:
    with db.begin() as conn:
        found: UUID = conn.execute(text("SELECT id FROM invocations")).scalar_one()
        return found


def state_is(db: Database, invocation_id: UUID, state: str) -> Callable[[], bool]:
    return lambda: row_of(db, invocation_id).state == state


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def hurry(db: Database) -> bool:
    """Shortens the waits between attempts; returns whether there was one."""
    with db.begin() as conn:
        return bool(conn.execute(text("UPDATE invocations SET due_at = now() WHERE state = 'retrying'")).rowcount)


def test_a_run_whose_worker_is_killed_is_lost_retried_and_never_two_at_once(
    db: Database, workers: Workers
) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken)
    invocation_id = only_invocation(db)
    first = workers.start()
    program = workers.wait_for_start(1)
    later = fire(db, woken, 2)

    second = workers.start()
    first.kill()
    workers.wait_for(lambda: is_gone(program), "the end of the killed worker's program")
    workers.wait_for(state_is(db, invocation_id, "retrying"), "the sweep")
    row = row_of(db, invocation_id)
    assert row.reason == "worker_lost"
    assert row.tries[0]["outcome"] == "failed"
    assert firing_states(db, firings + later) == {"pending"}

    assert hurry(db)
    workers.wait_for_start(2)
    assert second.poll() is None
    workers.let_go()
    workers.wait_for(state_is(db, invocation_id, "succeeded"), "the retry")
    assert row_of(db, invocation_id).reply == "done by attempt 2"
    workers.wait_for(lambda: firing_states(db, firings + later) == {"delivered"}, "the delivery of the rest")
    with db.begin() as conn:
        ends = conn.execute(text("SELECT firing_ids FROM invocations ORDER BY id")).scalars().all()
        assert ends == [firings, later], "what came meanwhile rode in one later invocation"
    workers.wait_for(lambda: not rows(db, "SELECT id FROM procrastinate_jobs"), "the end of the last job")


def test_a_worker_that_is_told_to_stop_hands_its_run_back_uncounted(db: Database, workers: Workers) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = only_invocation(db)
    first = workers.start(grace=0.5)
    program = workers.wait_for_start(1)
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE) == 0
    workers.wait_for(lambda: is_gone(program), "the end of the worker's program")
    row = row_of(db, invocation_id)
    # It is due again at once, and the stopping worker's own scheduler may still close its window: then it is
    # ready, with a job that waits for the next worker.
    assert row.tries[0]["outcome"] == "handed_back"
    waiting = {("retrying", "worker_shutdown"): 0, ("ready", None): 1}[row.state, row.reason]
    with db.begin() as conn:
        assert conn.execute(text("SELECT count(*) FROM procrastinate_jobs")).scalar_one() == waiting
        assert conn.execute(text("SELECT count(*) FROM procrastinate_workers")).scalar_one() == 0

    workers.let_go()
    workers.start()
    workers.wait_for(state_is(db, invocation_id, "succeeded"), "the run by the next worker")


def test_stops_use_up_no_attempt_however_long_they_wait(db: Database, workers: Workers) -> None:
    """Each worker waits for its run longer than others, which sweep meanwhile, need to consider a silent one lost."""
    fire(db, make_agent_with_trigger(db))
    invocation_id = only_invocation(db)
    stops = 2
    old = workers.start(grace=4.0)
    workers.wait_for_start(1)
    for attempt in range(1, stops + 1):
        new = workers.start(grace=4.0)
        workers.wait_for_workers(attempt + 1)
        old.send_signal(signal.SIGTERM)
        assert old.wait(PATIENCE) == 0
        workers.wait_for_start(attempt + 1)
        old = new
    row = row_of(db, invocation_id)
    assert [each["outcome"] for each in row.tries] == ["handed_back"] * stops
    workers.let_go()
    workers.wait_for(state_is(db, invocation_id, "succeeded"), "the end by the worker that was left")


def test_ctrl_c_while_it_stops_hands_runs_back_at_once(db: Database, workers: Workers) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = only_invocation(db)
    worker = workers.start(grace=600.0)
    workers.wait_for_start(1)
    worker.send_signal(signal.SIGTERM)
    workers.wait_for(lambda: "Stopping: " in workers.log.read_text(), "the stop")
    worker.send_signal(signal.SIGTERM)  # is sent to all processes again by some managers: nothing changes
    worker.send_signal(signal.SIGINT)
    assert worker.wait(PATIENCE) == 0
    assert [each["outcome"] for each in row_of(db, invocation_id).tries] == ["handed_back"]


def test_a_stopping_worker_lets_a_run_end_that_is_nearly_done(db: Database, workers: Workers) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = only_invocation(db)
    worker = workers.start(grace=15.0)
    workers.wait_for_start(1)
    worker.send_signal(signal.SIGTERM)
    workers.wait_for(lambda: "Stopping" in workers.log.read_text(), "the worker's answer to SIGTERM")
    late = fire(db, make_agent_with_trigger(db, "late"))
    workers.let_go()
    assert worker.wait(PATIENCE) == 0
    assert row_of(db, invocation_id).reply == "done by attempt 1"
    assert firing_states(db, late) == {"pending"}, "it takes nothing new"


def test_a_cancelled_run_is_stopped_within_seconds(db: Database, workers: Workers) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = only_invocation(db)
    workers.start()
    program = workers.wait_for_start(1)
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "test")
    workers.wait_for(state_is(db, invocation_id, "cancelled"), "the cancellation, long before the run would end")
    assert is_gone(program)


def test_a_worker_and_its_run_outlive_a_restart_of_the_database(
    database_url: str, db: Database, databases: Databases, workers: Workers
) -> None:
    """Restarts the session's server: nothing else may use it, and nothing does."""
    del database_url
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    invocation_id = only_invocation(db)
    worker = workers.start()
    program = workers.wait_for_start(1)
    databases.server.stop()
    workers.wait_for(lambda: "waits for the database" in workers.log.read_text(), "the outage's notice")
    databases.server.start()
    db.dispose()

    late = fire(db, woken)
    workers.let_go()
    workers.wait_for(state_is(db, invocation_id, "succeeded"), "the end of the run that outlived the outage")
    row = row_of(db, invocation_id)
    assert (row.attempt, row.reply) == (1, "done by attempt 1")
    workers.wait_for(lambda: firing_states(db, late) == {"delivered"}, "the next run")
    assert worker.poll() is None
    assert is_gone(program)


def test_a_worker_that_starts_before_its_database_works_as_soon_as_it_is_there(
    db: Database, databases: Databases, workers: Workers
) -> None:
    fire(db, make_agent_with_trigger(db))
    db.dispose()
    databases.server.stop()
    workers.start()
    workers.wait_for(lambda: workers.log.read_text().count("The worker restarts") > 0, "a failed start")
    databases.server.start()
    workers.wait_for_start(1)
