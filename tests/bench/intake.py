"""Durable webhook intake compared with a plain Flask route under gunicorn's own threads, as usually deployed.

There is no rate limit and no scheduler running beside it. In the end, the database must hold as many firings as
deliveries were answered with 202.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
from flask import Flask, request
from sqlalchemy import func, select, text

from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.engine import Database
from scheduler.storage.tables.core import Firing
from tests.bench.load import Load, post
from tests.bench.server import sqlalchemy_url
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent
from tests.support.postgres import Databases
from tests.support.slow_clients import slow_clients
from tests.support.web import Web, running_web

AGENTS = 5
TRIGGERS = 20
CONNECTIONS = 32
GTHREAD = ("-k", "gthread", "--threads", "32")
SLOW = 500
NO_LIMIT = 2_000_000_000


@dataclass(frozen=True)
class IntakeRatio:
    """Requests per second: medians over rounds in which each of the three had its turn.

    `durable` is deliveries to 20 webhooks of 5 agents in turn, `single` to one webhook. `ratio` and `single_ratio`
    compare the two with `bare` within each round, so that a slow moment of the machine affects both sides.
    `p99_ms`: from request to answer, 20 webhooks.
    """

    bare: float
    durable: float
    single: float
    ratio: float
    single_ratio: float
    p99_ms: float


def bare_app() -> Flask:
    """The application to compare with: it reads the body and answers 202."""
    app = Flask(__name__)

    @app.post("/hooks/<token>")
    def receive(token: str) -> tuple[dict[str, Any], int]:  # noqa: ARG001
        request.get_data()
        return {"ok": True}, 202

    return app


def intake_ratio(databases: Databases, *, workers: int = 1, rounds: int = 7, seconds: float = 1.5) -> IntakeRatio:
    """Measures on a new database."""
    url = databases.create()
    db = Database(sqlalchemy_url(url), pool_size=1)
    try:
        paths = _make_webhooks(db)
        with ExitStack() as stack:
            env = {"WEB_CONCURRENCY": str(workers)}
            bare = stack.enter_context(
                running_web(url, app="tests.bench.intake:bare_app()", env=env, options=GTHREAD)
            )
            ours = stack.enter_context(running_web(url, env=env))
            turns = [_turn(bare, ours, paths, 0.5)]  # warms everything up
            turns += [_turn(bare, ours, paths, seconds) for _ in range(rounds)]
        _check_durable(db, turns)
        return _summary(turns[1:])
    finally:
        db.dispose()
        databases.drop(url)


@dataclass(frozen=True)
class Attacked:
    """Webhook intake and `/healthz` while 500 clients are slow, compared with none.

    Rates are medians over alternating rounds; `ratio` compares within each round. `slowest_ms` is of `/healthz`.
    """

    calm: float
    attacked: float
    ratio: float
    slowest_ms: float


def intake_under_attack(databases: Databases, *, rounds: int = 5, seconds: float = 2.0) -> Attacked:
    """Measures on a new database."""
    url = databases.create()
    db = Database(sqlalchemy_url(url), pool_size=1)
    try:
        paths = _make_webhooks(db)
        calm, attacked, health = [], [], []
        with running_web(url, env={"WEB_CONCURRENCY": "1"}) as web:
            post(web.port, paths, connections=CONNECTIONS, seconds=0.5)  # warms everything up
            for _ in range(rounds):
                calm.append(post(web.port, paths, connections=CONNECTIONS, seconds=seconds).rate)
                with slow_clients(web.port, SLOW):
                    attacked.append(post(web.port, paths, connections=CONNECTIONS, seconds=seconds).rate)
                    health += [_time_of(f"{web.url}/healthz") for _ in range(10)]
        ratio = statistics.median(each / was for was, each in zip(calm, attacked, strict=True))
        return Attacked(statistics.median(calm), statistics.median(attacked), ratio, max(health) * 1000)
    finally:
        db.dispose()
        databases.drop(url)


def _time_of(url: str) -> float:
    began = time.perf_counter()
    httpx.get(url, timeout=60).raise_for_status()
    return time.perf_counter() - began


def _turn(bare: Web, ours: Web, paths: list[str], seconds: float) -> tuple[Load, Load, Load]:
    return (
        post(bare.port, paths[:1], connections=CONNECTIONS, seconds=seconds),
        post(ours.port, paths, connections=CONNECTIONS, seconds=seconds),
        post(ours.port, paths[:1], connections=CONNECTIONS, seconds=seconds),
    )


def _make_webhooks(db: Database) -> list[str]:
    """Creates webhooks whose windows neither fill up nor become due during the measurement; returns their paths."""
    with db.begin() as conn:
        conn.execute(text("UPDATE tenants SET max_webhook_rate = :limit"), {"limit": NO_LIMIT})
    agents = [
        make_agent(
            db, f"agent {place}", webhook_rate_limit=NO_LIMIT, max_batch=NO_LIMIT, dedup_delay_seconds=3600.0
        )
        for place in range(AGENTS)
    ]
    triggers = Triggers(db, BOX)
    made = [
        triggers.create(
            DEFAULT_TENANT, agents[place % AGENTS], TriggerSpec(f"hook {place}", "webhook"), actor="bench"
        )
        for place in range(TRIGGERS)
    ]
    return [f"/hooks/{each.hook_token}" for each in made]


def _check_durable(db: Database, turns: list[tuple[Load, Load, Load]]) -> None:
    answered = sum(load.accepted for _, *ours in turns for load in ours)
    with db.begin() as conn:
        recorded = conn.scalar(select(func.count()).select_from(Firing))
    refused = sum(load.refused for turn in turns for load in turn)
    if answered != recorded or refused:
        raise RuntimeError(f"{answered} deliveries were answered, {recorded} recorded, {refused} refused.")


def _summary(turns: list[tuple[Load, Load, Load]]) -> IntakeRatio:
    rates = [[load.rate for load in turn] for turn in turns]
    bare, durable, single = (statistics.median(each) for each in zip(*rates, strict=True))
    latencies = [each for _, load, _ in turns for each in load.latencies]
    return IntakeRatio(
        bare,
        durable,
        single,
        statistics.median(each[1] / each[0] for each in rates),
        statistics.median(each[2] / each[0] for each in rates),
        statistics.quantiles(latencies, n=100)[98] * 1000,
    )
