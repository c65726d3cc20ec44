"""The load during faults: triggers every second, and webhooks posted until they are accepted."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from uuid import uuid4

import httpx
import psycopg

from tests.acceptance.agent_server import AgentServer
from tests.acceptance.chaos.audit import JOBS, OPEN, execute, query
from tests.acceptance.fleet import Fleet

AGENTS = 30
TRIGGERS_OF_AN_AGENT = 10
SETTLE_SECONDS = 240.0
ANSWERS = {httpx.codes.ACCEPTED, 500, 502, 503}
STOP = """
    WITH stopped AS (UPDATE jobs SET next_run_time = NULL WHERE kind = 'fire' RETURNING trigger_id)
    UPDATE triggers SET is_enabled = false, paused_note = 'paused' WHERE id IN (SELECT trigger_id FROM stopped)
"""


@dataclass
class Answers:
    """The responses that the webhook senders received."""

    accepted: set[str] = field(default_factory=set)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Status and content type of each response other than 202."""


def populate(processes: Fleet, agents: AgentServer, url: str) -> list[str]:
    """Creates agents with interval triggers of one second and a webhook each; returns the webhooks' URLs."""
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
def posting(hooks: list[str], answers: Answers) -> Iterator[None]:
    """Keeps posting to webhooks, each delivery with an id and repeated until it is accepted, as providers do."""
    stop = Event()

    def post() -> None:
        with httpx.Client(timeout=20) as client:
            while not stop.wait(0.02):
                delivery = str(uuid4())
                hook = random.choice(hooks)
                while not _posted(client, hook, delivery, answers):
                    time.sleep(0.05)
                answers.accepted.add(delivery)

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


def _posted(client: httpx.Client, hook: str, delivery: str, answers: Answers) -> bool:
    with suppress(httpx.HTTPError):
        response = client.post(hook, content=b"ring", headers={"Idempotency-Key": delivery})
        assert response.status_code in ANSWERS, response.text
        if response.status_code == httpx.codes.ACCEPTED:
            return True
        answers.refusals.append((response.status_code, response.headers.get("Content-Type", "")))
    return False


def stop_slots(url: str) -> None:
    """Stops new slots, like pausing every trigger; the database may still be starting."""
    for _ in range(50):
        with suppress(psycopg.Error):
            return execute(url, STOP)
        time.sleep(0.2)
    return execute(url, STOP)


def settle(url: str) -> None:
    """Waits until every invocation has ended, and its job is gone.

    Lost workers are noticed after 30 s, retries wait 5 s or more, and a job is deleted after the end that it carries
    is committed: by its worker, or a minute later if that one died in between.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and (query(url, OPEN) or query(url, JOBS)):
        time.sleep(0.5)
