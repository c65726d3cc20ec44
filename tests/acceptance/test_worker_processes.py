"""A worker's own processes, killed one by one: it starts them again, and wakes go on; a stop hands runs back."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from scheduler.storage.engine import Database
from tests.acceptance.fleet import Fleet, fleet
from tests.acceptance.test_roles import wait_for
from tests.support.database import rows
from tests.support.invocations import fire, make_agent_with_trigger
from tests.support.web import free_port

OPTIONS = ("--role scheduler", "--jobs small", "--jobs large")
SUCCEEDED = "SELECT 1 FROM invocations WHERE state = 'succeeded'"
RUNNING = "SELECT 1 FROM invocations WHERE state = 'running'"
STARTED = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


@pytest.fixture
def worker(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    variables = {
        "REVEILLE_COMMANDS": json.dumps({"echo": ["/bin/echo", "awake"]}),
        "REVEILLE_METRICS_PORT": str(free_port()),
    }
    with fleet(database_url, tmp_path, **variables) as processes:
        processes.start("worker")
        wait_for(lambda: len(processes.family("worker")) == 4, "the worker's processes")
        yield processes


def child(worker: Fleet, options: str) -> psutil.Process | None:
    """Returns the process with these options, if it runs."""
    found = [each for each in worker.family("worker")[1:] if options in " ".join(each.cmdline())]
    return found[0] if found else None


def wait_for_another(worker: Fleet, options: str, before: psutil.Process) -> None:
    wait_for(lambda: child(worker, options) not in (None, before), f"another process with {options}")


def wait_for_wakes(db: Database, count: int) -> None:
    wait_for(lambda: len(rows(db, SUCCEEDED)) == count, f"{count} wakes")


def test_each_process_of_a_worker_is_started_again(worker: Fleet, db: Database) -> None:
    woken = [make_agent_with_trigger(db, f"agent-{n}") for n in range(30)]
    fire(db, woken[0])
    wait_for_wakes(db, 1)
    for count, options in enumerate(OPTIONS, 1):
        before = child(worker, options)
        assert before is not None
        before.kill()
        wait_for_another(worker, options, before)
        for each in woken:  # more than a small job holds
            fire(db, each)
        wait_for_wakes(db, 1 + 30 * count)
    log = worker.log("worker")
    assert log.count("exited with status -9; restarting in 1 s") == 3, log
    assert "ERROR" not in log


def test_one_port_shows_the_metrics_of_all_processes(worker: Fleet, db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    wait_for(lambda: rows(db, SUCCEEDED), "the wake")
    url = f"http://127.0.0.1:{worker.environment['REVEILLE_METRICS_PORT']}/metrics"
    shown = httpx.get(url).text
    assert 'reveille_invocations_ended_total{state="succeeded"} 1.0' in shown  # counted where it ran
    assert 'reveille_database_connections_limit{pool="reveille-scheduler"} 2.0' in shown
    assert 'reveille_database_connections_limit{pool="reveille-worker"} 8.0' in shown  # 2, 3 and 3
    assert "process_resident_memory_bytes" in shown
    scheduler = child(worker, "--role scheduler")
    assert scheduler is not None
    scheduler.suspend()  # so that another does not start at once and show its own
    scheduler.kill()
    scheduler.wait(60)
    again = httpx.get(url).text
    if child(worker, "--role scheduler") is None:
        assert "reveille-scheduler" not in again
    assert 'reveille_invocations_ended_total{state="succeeded"} 1.0' in again


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of the death of their parent")
def test_the_processes_of_a_killed_worker_stop_as_when_told_to(worker: Fleet, db: Database) -> None:
    family = worker.family("worker")
    family[0].kill()
    _, left = psutil.wait_procs(family, timeout=60)
    assert not left
    wait_for(lambda: not rows(db, "SELECT 1 FROM procrastinate_workers"), "their signing off")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_all_processes_and_costs_no_try(
    database_url: str, db: Database, tmp_path: Path, number: signal.Signals
) -> None:
    trace = tmp_path / "started"
    variables = {"REVEILLE_COMMANDS": json.dumps({"echo": [sys.executable, "-c", STARTED, str(trace)]})}
    with fleet(database_url, tmp_path, **variables) as processes:
        processes.start("worker")
        fire(db, make_agent_with_trigger(db))
        wait_for(trace.exists, "the run")
        family = processes.family("worker")
        family[0].send_signal(number)
        wait_for(lambda: processes.log("worker").count("Stopping: runs have 18 s") == 2, "the news of both")
        family[0].send_signal(number)  # hurry
        _, left = psutil.wait_procs(family, timeout=15)  # less than they would have otherwise
        assert not left
        assert family[0].wait() in (0, None)
    [invocation] = rows(db, "SELECT state, reason, tries FROM invocations WHERE cardinality(firing_ids) > 0")
    assert invocation.tries[0]["outcome"] == "handed_back"
    assert invocation.state in ("retrying", "ready")


def test_one_process_if_the_database_allows_few_connections(
    database_url: str, db: Database, tmp_path: Path
) -> None:
    with fleet(database_url, tmp_path, REVEILLE_WORKER_PROCESSES="one") as processes:
        processes.start("worker")
        wait_for(lambda: "it schedules, and wakes agents\n" in processes.log("worker"), "the start")
        assert len(processes.family("worker")) == 1
        fire(db, make_agent_with_trigger(db))
        wait_for(lambda: not rows(db, "SELECT 1 FROM invocations WHERE finished_at IS NULL"), "the wake")
