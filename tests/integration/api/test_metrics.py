"""What /metrics shows of a process's own work, and that Prometheus' own tool has nothing to say about it."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress

import httpx
import pytest
from prometheus_client import generate_latest

from config.settings import Settings
from scheduler.metrics import FIRINGS, REGISTRY, add, later, serve_metrics
from scheduler.storage.engine import Database
from tests.support.a2a_client import immediate, rpc
from tests.support.api import Api
from tests.support.web import free_port, running_web

JSON = {"Accept": "application/json"}


def samples(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def shown(api: Api) -> dict[str, float]:
    return samples(api.as_(None).call("GET", "//metrics").text)


def find_promtool() -> str:
    """The program; the test is skipped where there is none. tools/setup installs it where it can."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed")
    return found


def test_what_happens_is_counted(api: Api) -> None:
    agent = api.agent("one")
    hook = api.trigger(agent["id"], "bell", type="webhook", config={})
    before = shown(api)
    client = api.app.test_client()
    for _ in range(2):
        path = hook["hook_url"][hook["hook_url"].index("/hooks/") :]
        assert client.post(path, data="hello", headers={"webhook-id": "1"}).status_code == 202
    api.post(f"/agents/{agent['id']}/wake", {"message": "Rise."}, 202)
    rpc(api, agent["id"], immediate("1"))
    own = api.with_key(f"agent:{agent['id']}")
    for tool, arguments in (("list_agents", {}), ("wake_agent", {"agent": "nobody", "message": "Rise."})):
        called = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called}
        assert own.call("POST", "//mcp", message, headers=JSON).status_code == 200
    after = shown(api)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown['reveille_firings_total{kind="webhook",outcome="recorded"}'] == 1
    assert grown['reveille_firings_total{kind="wake",outcome="recorded"}'] == 2
    assert grown['reveille_webhook_deliveries_total{verdict="accepted"}'] == 1
    assert grown['reveille_webhook_deliveries_total{verdict="duplicate"}'] == 1
    assert grown['reveille_intake_duration_seconds_count{door="webhook"}'] == 2
    assert grown['reveille_intake_duration_seconds_count{door="wake"}'] == 1
    assert grown['reveille_intake_duration_seconds_count{door="a2a"}'] == 1
    assert grown['reveille_intake_duration_seconds_count{door="mcp"}'] == 1
    assert after['reveille_rows{table="firings"}'] >= 0
    assert after["reveille_database_size_bytes"] > 1_000_000


def test_promtool_accepts_the_metrics(api: Api) -> None:
    program = find_promtool()
    api.agent("one")
    text = api.as_(None).call("GET", "//metrics").text + generate_latest(REGISTRY).decode()
    assert len(samples(text)) < 500
    unique = "".join(dict.fromkeys(text.splitlines(keepends=True)))
    done = subprocess.run([program, "check", "metrics"], input=unique, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_rolled_back_is_not_counted(db: Database) -> None:
    def counted() -> float:
        return float(FIRINGS.labels("test", "recorded")._value.get())

    with db.begin() as conn:
        later(conn, add(FIRINGS, 1, "test", "recorded"))
        assert counted() == 0
    assert counted() == 1
    with suppress(ZeroDivisionError), db.begin() as conn:
        later(conn, add(FIRINGS, 1, "test", "recorded"))
        raise ZeroDivisionError
    assert counted() == 1


def test_any_process_of_a_web_server_shows_what_all_have_counted(database_url: str) -> None:
    limit = 'reveille_database_connections_limit{pool="reveille-web"}'
    sent = 1  # the one that found the server ready
    with running_web(database_url, env={"WEB_CONCURRENCY": "2"}) as web, httpx.Client(timeout=60) as client:
        # Each is on a connection of its own, which either process may accept; on a busy machine one starts later.
        while sent < 11 or samples(client.get(f"{web.url}/metrics").text)[limit] < 6:
            assert httpx.post(f"{web.url}/hooks/nobody", timeout=60).status_code == 404
            sent += 1
        counts = [samples(client.get(f"{web.url}/metrics").text) for _ in range(4)]
    assert {each['reveille_intake_duration_seconds_count{door="webhook"}'] for each in counts} == {sent}
    assert {each[limit] for each in counts} == {6}


def test_workers_of_one_machine_do_not_collide() -> None:
    settings = Settings(metrics_port=free_port())
    first, second = serve_metrics(settings), serve_metrics(settings)
    assert first == settings.metrics_port
    assert second is not None
    assert first < second < first + 10
    for port in (first, second):
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert "reveille_pass_duration_seconds_bucket" in text
        assert "process_resident_memory_bytes" in text
    assert serve_metrics(Settings(metrics_port=0)) is None
