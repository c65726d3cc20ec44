"""From the close of a window to the call of its agent's runtime, through a real worker process."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psycopg

from tests.acceptance.agent_server import agent_server
from tests.acceptance.fleet import fleet
from tests.support.postgres import Databases

AGENTS = 100
ROUNDS = 5
WINDOW_SECONDS = 1.0


def close_to_call(databases: Databases) -> list[float]:
    """Returns milliseconds from when a window is due until its agent is called: AGENTS agents, ROUNDS wakes each."""
    url = databases.create()
    with (
        tempfile.TemporaryDirectory() as logs,
        agent_server() as agents,
        fleet(
            url, Path(logs), REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1", REVEILLE_LOG_LEVEL="WARNING"
        ) as processes,
    ):
        processes.migrate()
        for name in ("web", "worker"):
            processes.start(name)
        processes.wait_ready()
        with processes.api() as api, psycopg.connect(url, autocommit=True) as conn:
            triggers = []
            for number in range(AGENTS):
                runtime = {"kind": "http", "url": agents.url}
                body = {"name": f"agent {number}", "runtime": runtime, "dedup_delay_seconds": WINDOW_SECONDS}
                agent_id = api.post("/agents", json=body).json()["id"]
                hook = {"name": "hook", "type": "webhook", "config": {}, "reason": ""}
                triggers.append(api.post(f"/agents/{agent_id}/triggers", json=hook).json()["id"])
            for done in range(ROUNDS):
                for trigger_id in triggers:
                    api.post(f"/triggers/{trigger_id}/fire").raise_for_status()
                while len(agents.runs) < (done + 1) * AGENTS:
                    time.sleep(0.1)
            rows = conn.execute(
                "SELECT id::text, extract(epoch FROM opened_at)::float8 FROM invocations"
            ).fetchall()
    databases.drop(url)
    due = {invocation_id: opened_at + WINDOW_SECONDS for invocation_id, opened_at in rows}
    return [(run.started - due[run.invocation_id]) * 1000 for run in agents.runs]
