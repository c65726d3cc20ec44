"""Single creation of agents and triggers by the API, compared with a constant answer of the same server.

8 connections create one thing at a time. No worker runs beside it. In the end the database must hold, with an audit
event each, what was answered with 201.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, cycle

import psutil
from sqlalchemy import text

from scheduler.storage.engine import Database
from scheduler.storage.keys import create_key
from scheduler.storage.tenants import DEFAULT_TENANT
from tests.bench.load import Load, message, post, send
from tests.bench.server import sqlalchemy_url
from tests.support.factories import make_agent
from tests.support.postgres import Databases
from tests.support.web import Web, running_web

CONNECTIONS = 8
AGENTS = 50
MANY = 1_000_000

RECORDED = text("""
    SELECT (SELECT count(*) FROM agents WHERE name LIKE 'made %'),
        (SELECT count(*) FROM triggers t JOIN jobs j ON j.trigger_id = t.id WHERE t.name LIKE 'made %'),
        (SELECT count(*) FROM audit_events WHERE action = 'agent.created'),
        (SELECT count(*) FROM audit_events WHERE action = 'trigger.created')
""")


@dataclass(frozen=True)
class Creation:
    """What is created a second: medians over rounds in which each of the three had its turn.

    The ratios compare with `constant` within each round. `agent_ms` and `trigger_ms`: CPU of the web process for each.
    """

    constant: float
    agents: float
    triggers: float
    agent_ratio: float
    trigger_ratio: float
    agent_ms: float
    trigger_ms: float


def creation(databases: Databases, *, rounds: int = 5, seconds: float = 3.0) -> Creation:
    """Measures on a new database."""
    url = databases.create()
    db = Database(sqlalchemy_url(url), pool_size=1)
    try:
        with ExitStack() as stack:
            env = {"WEB_CONCURRENCY": "1", "REVEILLE_ALLOW_PRIVATE_HOSTS": "127.0.0.1"}
            bare = stack.enter_context(running_web(url, app="tests.bench.intake:bare_app()", env=env))
            ours = _Ours(db, stack.enter_context(running_web(url, env=env)))
            _turn(bare, ours, 0.5)  # warms everything up
            turns = [_turn(bare, ours, seconds) for _ in range(rounds)]
        ours.check()
        return _summary(turns)
    finally:
        db.dispose()
        databases.drop(url)


class _Ours:
    """The web process, what it is asked to create, and what it answered."""

    def __init__(self, db: Database, web: Web) -> None:
        self._db = db
        self._port = web.port
        self._process = psutil.Process(web.process.pid)
        with db.begin() as conn:
            conn.execute(text("UPDATE tenants SET default_max_triggers = :most"), {"most": MANY})
            key = create_key(conn, tenant_id=DEFAULT_TENANT, name="bench", scopes=["write"]).key
        agents = [make_agent(db, f"agent {place}", max_triggers=MANY) for place in range(AGENTS)]
        self._head = f"Authorization: Bearer {key}\r\n".encode()
        self._agents = self._messages(
            ["/api/v1/agents"], {"runtime": {"kind": "http", "url": "http://127.0.0.1:9001/run"}}
        )
        self._triggers = self._messages(
            [f"/api/v1/agents/{agent_id}/triggers" for agent_id in agents],
            {"type": "cron", "config": {"expr": "0 9 * * *"}, "reason": "Plan the day."},
        )
        self._made = [0, 0]

    def agents(self, seconds: float) -> tuple[Load, float]:
        """Creates agents for so many seconds; returns also the CPU of each in milliseconds."""
        return self._send(0, self._agents, seconds)

    def triggers(self, seconds: float) -> tuple[Load, float]:
        """The same with triggers, of 50 agents in turn."""
        return self._send(1, self._triggers, seconds)

    def check(self) -> None:
        """Raises RuntimeError unless all that was answered is there."""
        with self._db.begin() as conn:
            agents, triggers, *audited = conn.execute(RECORDED).one()
        if [agents, triggers] != self._made or audited != self._made:
            raise RuntimeError(f"{self._made} were answered, {agents}, {triggers} made, {audited} audited.")

    def _send(self, place: int, messages: Iterator[bytes], seconds: float) -> tuple[Load, float]:
        before = self._cpu()
        load = send(self._port, messages, connections=CONNECTIONS, seconds=seconds, accepted=b"201")
        if load.refused:
            raise RuntimeError(f"{load.refused} of {load.accepted + load.refused} were refused.")
        self._made[place] += load.accepted
        return load, (self._cpu() - before) * 1000 / load.accepted

    def _messages(self, paths: list[str], body: dict[str, object]) -> Iterator[bytes]:
        for number, path in zip(count(), cycle(paths), strict=False):
            yield message(path, json.dumps({"name": f"made {number}", **body}).encode(), self._head)

    def _cpu(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._process.children(recursive=True))


def _turn(bare: Web, ours: _Ours, seconds: float) -> tuple[Load, tuple[Load, float], tuple[Load, float]]:
    constant = post(bare.port, ["/hooks/any"], connections=CONNECTIONS, seconds=seconds / 3)
    return constant, ours.agents(seconds), ours.triggers(seconds)


def _summary(turns: list[tuple[Load, tuple[Load, float], tuple[Load, float]]]) -> Creation:
    median = statistics.median
    return Creation(
        median(constant.rate for constant, _, _ in turns),
        median(agents.rate for _, (agents, _), _ in turns),
        median(triggers.rate for _, _, (triggers, _) in turns),
        median(agents.rate / constant.rate for constant, (agents, _), _ in turns),
        median(triggers.rate / constant.rate for constant, _, (triggers, _) in turns),
        median(cpu for _, (_, cpu), _ in turns),
        median(cpu for _, _, (_, cpu) in turns),
    )
