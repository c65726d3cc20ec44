"""Whether anything is lost or doubled while processes are killed with -9 and PostgreSQL is restarted under load.

`python -m tests.acceptance.chaos [SECONDS] [SEED]` runs it by itself; the seed is printed, and repeats the kills.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.acceptance.agent_server import AgentServer, agent_server
from tests.acceptance.fleet import Fleet, fleet
from tests.bench.server import bench_server
from tests.support.postgres import Databases

PROCESSES = ("web", "worker-1", "worker-2", "worker-3", "worker-4")
"""Each worker process is a scheduler too: four schedulers and four workers share the store."""
AGENTS = 30
TRIGGERS_OF_AN_AGENT = 10
KILL_EVERY_SECONDS = 2.0
SETTLE_SECONDS = 240.0

BROKEN_RANGES = """
    WITH ranges AS (
        SELECT trigger_id, first_scheduled_for AS first, scheduled_for AS last, slot_count,
            lag(scheduled_for) OVER (PARTITION BY trigger_id ORDER BY scheduled_for) AS before
        FROM firings WHERE trigger_type = 'interval'
    )
    SELECT r.*, t.anchor_at FROM ranges r JOIN triggers t ON t.id = r.trigger_id
    WHERE first <> coalesce(before, t.anchor_at) + interval '1 second'
        OR extract(epoch FROM last - first) + 1 <> slot_count
"""
UNFINISHED = """
    SELECT state, count(*) AS count FROM invocations
    WHERE state NOT IN ('succeeded') GROUP BY state
"""
OPEN = """
    SELECT id FROM invocations WHERE state IN ('collecting', 'ready', 'running', 'awaiting', 'retrying') LIMIT 1
"""
TOTALS = """
    SELECT count(*) AS firings, count(DISTINCT invocation_id) AS invocations,
        coalesce(sum(slot_count - 1), 0) AS late,
        coalesce(sum(slot_count) FILTER (WHERE trigger_type = 'interval'), 0) AS slots FROM firings
"""
UNDELIVERED = "SELECT count(*) AS count FROM firings WHERE state <> 'delivered'"


@dataclass
class Report:
    """What was done and what was found; all the lists are empty when the promise held."""

    seed: int
    kills: list[str] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    firings: int = 0
    slots: int = 0
    invocations: int = 0
    late_slots: int = 0
    broken_ranges: list[dict[str, object]] = field(default_factory=list)
    lost_webhooks: set[str] = field(default_factory=set)
    doubled_webhooks: list[str] = field(default_factory=list)
    overlaps: int = 0
    unfinished: dict[str, int] = field(default_factory=dict)
    undelivered: int = 0
    drift: int = 0

    def failures(self) -> dict[str, object]:
        """What broke the promise."""
        found = {
            "broken_ranges": self.broken_ranges[:5],
            "lost_webhooks": self.lost_webhooks,
            "doubled_webhooks": self.doubled_webhooks,
            "overlaps": self.overlaps,
            "unfinished": self.unfinished,
            "undelivered": self.undelivered,
            "drift": self.drift,
        }
        return {name: value for name, value in found.items() if value}


def run_chaos(databases: Databases, logs: Path, *, seconds: float, seed: int) -> Report:
    """Load the fleet for `seconds` while killing, let it settle, and audit the database."""
    report = Report(seed)
    url = databases.create()
    with (
        agent_server(takes_seconds=0.03) as agents,
        fleet(url, logs, REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1", REVEILLE_LOG_LEVEL="WARNING") as processes,
    ):
        processes.migrate()
        for name in PROCESSES:
            processes.start(name)
        processes.wait_ready()
        hooks = _populate(processes, agents, url)
        with _posting(hooks, report.accepted):
            _kill(processes, databases, random.Random(seed), seconds, report)
        _pause_all(url)
        _settle(url)
        _examine(url, agents, report)
    databases.drop(url)
    return report


def _populate(processes: Fleet, agents: AgentServer, url: str) -> list[str]:
    """Agents with interval triggers of a second, and a webhook each; returns the webhooks' URLs."""
    hooks = []
    with processes.api() as api:
        for number in range(AGENTS):
            runtime = {"kind": "http", "url": agents.url}
            body = {"name": f"agent {number}", "runtime": runtime, "dedup_delay_seconds": 1, "max_triggers": 20}
            agent_id = _made(api.post("/agents", json=body))["id"]
            path = f"/agents/{agent_id}/triggers"
            for place in range(TRIGGERS_OF_AN_AGENT):
                trigger = {"name": f"every second {place}", "type": "interval", "config": {"seconds": 1}}
                _made(api.post(path, json={**trigger, "reason": "", "cooldown_seconds": 0}))
            hook = {"name": "hook", "type": "webhook", "config": {}, "reason": "", "cooldown_seconds": 0}
            hooks.append(_made(api.post(path, json=hook))["hook_url"])
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("UPDATE agents SET webhook_rate_limit = 1000000")
        conn.execute("UPDATE tenants SET max_webhook_rate = 1000000")
    return hooks


def _made(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == httpx.codes.CREATED, response.text
    return dict(response.json())


@contextmanager
def _posting(hooks: list[str], accepted: set[str]) -> Iterator[None]:
    """Post webhooks all the while, each with an id, again and again until it is accepted, as providers do."""
    stop = Event()

    def post() -> None:
        with httpx.Client(timeout=5) as client:
            while not stop.wait(0.02):
                delivery = str(uuid4())
                hook = random.choice(hooks)
                while not _posted(client, hook, delivery):
                    time.sleep(0.05)
                accepted.add(delivery)

    threads = [Thread(target=post, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "a webhook was never accepted"


def _posted(client: httpx.Client, hook: str, delivery: str) -> bool:
    with suppress(httpx.HTTPError):
        response = client.post(hook, content=b"ring", headers={"Idempotency-Key": delivery})
        assert response.status_code in {202, 500, 502, 503}, response.text
        return response.status_code == httpx.codes.ACCEPTED
    return False


def _kill(processes: Fleet, databases: Databases, chance: random.Random, seconds: float, report: Report) -> None:
    """Kill one process every two seconds and start it again; restart PostgreSQL half way."""
    started = time.monotonic()
    database_at = seconds / 2
    while (now := time.monotonic() - started) < seconds:
        time.sleep(KILL_EVERY_SECONDS)
        if now >= database_at:
            database_at = float("inf")
            databases.server.restart()
            report.kills.append("postgresql")
            continue
        name = chance.choice(PROCESSES)
        processes.kill(name)
        processes.start(name)
        report.kills.append(name)


def _pause_all(url: str) -> None:
    """Stop new slots, as a pause of every trigger would."""
    _retried(lambda: _execute(url, "UPDATE agents SET is_paused = is_paused"))
    _execute(
        url,
        """
        WITH stopped AS (UPDATE jobs SET next_run_time = NULL WHERE kind = 'fire' RETURNING trigger_id)
        UPDATE triggers SET is_enabled = false, paused_note = 'paused' WHERE id IN (SELECT trigger_id FROM stopped)
        """,
    )


def _settle(url: str) -> None:
    """Wait until every invocation has ended: lost workers are noticed after 30 s, retries wait 5 s and more."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        if not _query(url, OPEN):
            return
        time.sleep(0.5)


def _examine(url: str, agents: AgentServer, report: Report) -> None:
    report.broken_ranges = _query(url, BROKEN_RANGES)
    keys = _query(url, "SELECT occurrence_key AS key FROM firings WHERE trigger_type = 'webhook'")
    found = [str(row["key"]).rpartition(":")[2] for row in keys]
    report.lost_webhooks = report.accepted - set(found)
    report.doubled_webhooks = sorted(key for key, count in Counter(found).items() if count > 1)
    report.overlaps = len(agents.overlaps())
    report.unfinished = {str(row["state"]): int(str(row["count"])) for row in _query(url, UNFINISHED)}
    report.undelivered = int(str(_query(url, UNDELIVERED)[0]["count"]))
    drift = "SELECT count(*) AS count FROM audit_events WHERE action = 'trigger.repaired'"
    report.drift = int(str(_query(url, drift)[0]["count"]))
    totals = _query(url, TOTALS)[0]
    report.firings = int(str(totals["firings"]))
    report.slots = int(str(totals["slots"]))
    report.invocations = int(str(totals["invocations"]))
    report.late_slots = int(str(totals["late"]))


def _query(url: str, query: str) -> list[dict[str, object]]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as conn:
        return list(conn.execute(query.encode()))


def _execute(url: str, query: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(query.encode())


def _retried(call: Callable[[], None]) -> None:
    for _ in range(50):
        with suppress(psycopg.Error):
            return call()
        time.sleep(0.2)
    return call()


def main(arguments: list[str]) -> int:
    """Run it for SECONDS (default 600) with SEED (default: a new one)."""
    seconds = float(arguments[0]) if arguments else 600.0
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(10**6)
    print(f"chaos for {seconds:.0f} s with seed {seed}", flush=True)  # noqa: T201
    with bench_server() as databases, tempfile.TemporaryDirectory() as logs:
        report = run_chaos(databases, Path(logs), seconds=seconds, seed=seed)
    print(f"{len(report.kills)} kills; {len(report.accepted)} webhooks accepted")  # noqa: T201
    print(f"{report.slots} slots in {report.firings} firings, {report.late_slots} in a later one")  # noqa: T201
    print(f"{report.invocations} invocations")  # noqa: T201
    print(f"failures: {report.failures() or 'none'}")  # noqa: T201
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
