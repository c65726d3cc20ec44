"""Polls in real processes: from the API to the agent, and how polls that hang affect the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.agent_server import agent_server
from tests.acceptance.fleet import fleet
from tests.bench.polls import cron_lateness
from tests.bench.server import bench_server
from tests.support.polls import answered, running_site


def eventually(what: Callable[[], object], seconds: float = 60) -> None:
    """Waits until `what` holds."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


def test_a_change_wakes_the_agent_with_the_old_and_the_new_value(database_url: str, tmp_path: Path) -> None:
    with (
        running_site() as site,
        agent_server() as agents,
        fleet(database_url, tmp_path, REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1") as processes,
    ):
        processes.migrate()
        processes.start("web")
        processes.start("worker")
        processes.wait_ready()
        site.answer = answered(body=b'{"price": 10.00}')
        with processes.api() as api:
            body = {"name": "ada", "runtime": {"kind": "http", "url": agents.url}, "dedup_delay_seconds": 0}
            agent_id = api.post("/agents", json=body).json()["id"]
            config = {"url": site.url, "json_path": "$.price"}
            poll = {"name": "releases", "type": "poll", "config": config, "reason": "A release is out."}
            path = f"/triggers/{api.post(f'/agents/{agent_id}/triggers', json=poll).json()['id']}"
            eventually(lambda: api.get(f"{path}/poll").json()["is_seen"])
            site.answer = answered(body=b'{"price": 12345678901234567.89}')
            api.post(f"{path}/pause").raise_for_status()
            api.post(f"{path}/resume").raise_for_status()  # checks at once
            eventually(lambda: agents.runs)
            (firing,) = api.get("/firings", params={"agent_id": agent_id}).json()["items"]
            context = api.get(f"/invocations/{firing['invocation_id']}").json()["context"]
    assert "A release is out." in context
    assert context.index("Old value:") < context.index("New value:")
    assert context.index("\n10.00\n") < context.index("\n12345678901234567.89\n")


def test_polls_that_hang_leave_cron_lateness_unchanged() -> None:
    with bench_server() as databases:
        measured = cron_lateness(databases, hanging=500, crons=50)
    assert measured.hanging > 400
    # Other tests run on the same machine. This excludes that cron waits for polls, which take ten seconds.
    assert measured.beside_p50 < measured.alone_p50 + 0.25, measured
    assert measured.beside_p99 < measured.alone_p99 + 1.0, measured
