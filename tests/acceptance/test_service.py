"""The service as a platform runs it: the Procfile's processes on a hosted database, which is also interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.acceptance.agent_server import AgentServer, agent_server
from tests.acceptance.fleet import ADMIN_KEY, ROOT, SECRET_KEY, Fleet, fleet
from tests.support.postgres import Databases
from tests.support.web import free_port

SMALLEST_PLAN = 20
"""The number of connections of Heroku's smallest plan."""
EVERY_SECOND: dict[str, Any] = {
    "name": "every second",
    "type": "interval",
    "config": {"seconds": 1},
    "reason": "",
    "cooldown_seconds": 0,
}


def eventually(what: Callable[[], object], seconds: float = 60) -> None:
    """Waits until `what` holds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


def made(response: httpx.Response) -> dict[str, Any]:
    """Returns what a POST has created."""
    assert response.status_code == httpx.codes.CREATED, response.text
    return dict(response.json())


def make_agent(api: httpx.Client, agents: AgentServer, **values: object) -> str:
    """Creates an agent whose runtime is the test's server; returns its id."""
    body = {"name": "ada", "runtime": {"kind": "http", "url": agents.url}, "dedup_delay_seconds": 1}
    return str(made(api.post("/agents", json=body | values))["id"])


@pytest.fixture
def agents() -> Iterator[AgentServer]:
    with agent_server() as running:
        yield running


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1") as processes:
        processes.migrate()
        processes.start("web")
        processes.start("worker")
        processes.wait_ready()
        yield processes


def test_several_firings_of_an_agent_are_one_signed_request(service: Fleet, agents: AgentServer) -> None:
    with service.api() as api:
        agent_id = make_agent(api, agents, dedup_delay_seconds=3)
        hook = {"name": "hook", "type": "webhook", "config": {}, "reason": "Somebody called."}
        made(api.post(f"/agents/{agent_id}/triggers", json=EVERY_SECOND | {"max_fires": 1}))
        hook_url = made(api.post(f"/agents/{agent_id}/triggers", json=hook))["hook_url"]
        for number in range(3):
            answer = httpx.post(hook_url, json={"number": number})
            assert answer.status_code == httpx.codes.ACCEPTED
        eventually(lambda: agents.runs)
    (run,) = agents.runs
    payloads = [firing["payload"] for firing in run.body["firings"] if firing["trigger"]["type"] == "webhook"]
    assert payloads == ['{"number":0}', '{"number":1}', '{"number":2}']
    assert [firing["trigger"]["type"] for firing in run.body["firings"]].count("interval") == 1
    assert "Somebody called." in run.body["context"]
    assert {"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} <= {name.title() for name in run.headers}


def test_a_pause_an_edit_and_a_delete_hold_on_a_running_worker_at_once(
    service: Fleet, agents: AgentServer, database_url: str
) -> None:
    with service.api() as api, psycopg.connect(database_url, autocommit=True) as conn:

        def fired(name: str) -> int:
            row = conn.execute("SELECT count(*) FROM firings WHERE trigger_name = %s", [name]).fetchone()
            assert row is not None
            return int(row[0])

        def fired_twice(name: str) -> bool:
            return fired(name) >= 2

        def stopped_at_once() -> None:
            """Checks that nothing was fired later than a second after the changes were answered."""
            changed_at = conn.execute("SELECT clock_timestamp()").fetchone()
            time.sleep(3)
            late = "SELECT 1 FROM firings WHERE fired_at > %s + interval '1 second'"
            assert conn.execute(late, [changed_at and changed_at[0]]).fetchall() == []

        agent_id = make_agent(api, agents)
        path = f"/agents/{agent_id}/triggers"
        ids = {
            name: made(api.post(path, json=EVERY_SECOND | {"name": name}))["id"]
            for name in ("paused", "edited", "deleted")
        }
        for name in ids:
            eventually(partial(fired_twice, name))
        api.post(f"/triggers/{ids['paused']}/pause").raise_for_status()
        api.patch(f"/triggers/{ids['edited']}", json={"config": {"seconds": 3600}}).raise_for_status()
        api.delete(f"/triggers/{ids['deleted']}").raise_for_status()
        stopped_at_once()
        before = fired("paused")
        resumed = api.post(f"/triggers/{ids['paused']}/resume").raise_for_status().json()
        wait = datetime.fromisoformat(resumed["next_fire_at"]) - datetime.fromisoformat(resumed["updated_at"])
        assert wait <= timedelta(seconds=1)
        eventually(lambda: fired("paused") > before)


def _variables(databases: Databases, port: int) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("REVEILLE_")}  # noqa: TID251
    return inherited | {
        "DATABASE_URL": databases.create().replace("postgresql:", "postgres:", 1),
        "REVEILLE_ADMIN_KEY": ADMIN_KEY,
        "REVEILLE_SECRET_KEY": SECRET_KEY,
        "REVEILLE_CANARY": "false",
        "WEB_CONCURRENCY": "2",
        "PORT": str(port),
        "PATH": f"{Path(sys.executable).parent}:{inherited['PATH']}",
    }


def test_the_procfile_serves_within_twenty_connections(databases: Databases) -> None:
    port = free_port()
    variables = _variables(databases, port)
    name = str(psycopg.conninfo.conninfo_to_dict(variables["DATABASE_URL"])["dbname"])
    with psycopg.connect(databases.server.url_of("postgres", "postgres"), autocommit=True) as conn:
        conn.execute(SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(Identifier(name), SMALLEST_PLAN))
    honcho = [sys.executable, "-m", "honcho"]
    release = [*honcho, "run", "python", "-m", "scheduler.cli", "migrate"]
    subprocess.run(release, cwd=ROOT, env=variables, check=True)
    most, base = 0, f"http://127.0.0.1:{port}"
    running = subprocess.Popen(
        [*honcho, "start", "web", "worker"], cwd=ROOT, env=variables, start_new_session=True
    )
    try:
        eventually(lambda: _is_ready(base))
        key = {"Authorization": f"Bearer {ADMIN_KEY}"}
        with (
            ThreadPoolExecutor(16) as pool,
            psycopg.connect(databases.server.url_of("postgres", "postgres")) as conn,
        ):
            conn.autocommit = True
            again = subprocess.Popen(release, cwd=ROOT, env=variables)
            asked = [pool.submit(httpx.get, f"{base}/api/v1/agents", headers=key, timeout=30) for _ in range(400)]
            while again.poll() is None or not all(each.done() for each in asked):
                row = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name]).fetchone()
                most = max(most, int(row[0]) if row else 0)
                time.sleep(0.01)
            assert {each.result().status_code for each in asked} == {200}
            assert again.returncode == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        running.wait(timeout=60)
    assert 8 <= most <= SMALLEST_PLAN


def _is_ready(base: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{base}/readyz", timeout=5).status_code == httpx.codes.OK
    return False
