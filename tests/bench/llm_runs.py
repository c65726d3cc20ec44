"""Measures what `llm` runs cost a worker: memory for each, and the time from first token to stored reply."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text

from scheduler.storage.engine import Database
from tests.acceptance.fleet import Fleet, fleet
from tests.bench.scheduling import percentile
from tests.bench.server import sqlalchemy_url
from tests.integration.net.net_servers import Exchange
from tests.support.invocations import AgentWithTrigger, fire
from tests.support.llm import STREAM_HEAD, chunks, make_model, make_thinker, providing
from tests.support.postgres import Databases

RUNS = 200
WORDS = "A reply of some length. " * 20
PATIENCE = 300.0
ENDED = text("SELECT count(*) FROM invocations WHERE state = 'succeeded'")
STORED = text("""
    SELECT DISTINCT ON (a.name) a.name, extract(epoch FROM i.finished_at)::float8
    FROM invocations i JOIN agents a ON a.id = i.agent_id ORDER BY a.name, i.id DESC
""")


@dataclass(frozen=True)
class Thinking:
    """`kilobytes` of each of RUNS concurrent runs; milliseconds from first token to stored reply, 50th and 99th
    percentile.
    """

    kilobytes: float
    p50_ms: float
    p99_ms: float


@dataclass
class _Talks:
    """A provider that can hold its responses after the first word."""

    is_held: bool = False
    held: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)
    first_tokens: dict[str, float] = field(default_factory=dict)

    async def answer(self, exchange: Exchange) -> None:
        name = json.loads(exchange.body)["messages"][0]["content"].partition(".")[0].removeprefix("You are ")
        first, *rest = chunks(WORDS)
        self.first_tokens[name] = time.time()
        await exchange.send(STREAM_HEAD + first)
        if self.is_held:
            self.held += 1
            await self.release.wait()
        await exchange.send(b"".join(rest))


def thinking_cost(databases: Databases) -> Thinking:
    """Measures one worker process, whose agents' provider is in this process."""
    url = databases.create()
    db = Database(sqlalchemy_url(url))
    try:
        with (
            tempfile.TemporaryDirectory() as logs,
            fleet(url, Path(logs), REVEILLE_ALLOW_PRIVATE_HOSTS="127.0.0.1", REVEILLE_LOG_LEVEL="WARNING") as all_,
        ):
            all_.migrate()
            all_.start("worker")
            return asyncio.run(_measure(db, all_))
    finally:
        db.dispose()
        databases.drop(url)


async def _measure(db: Database, processes: Fleet) -> Thinking:
    talks = _Talks()
    async with providing(talks.answer) as provider:
        model_id = make_model(db, provider.url, key=None)
        thinkers = [make_thinker(db, model_id, name=f"thinker {number}") for number in range(RUNS)]
        await _wake(db, thinkers[:1])
        await _until(lambda: _ended(db) == 1)  # with the library loaded
        before = processes.resident_bytes("worker")
        talks.is_held = True
        await _wake(db, thinkers)
        await _until(lambda: talks.held == RUNS)
        grown = processes.resident_bytes("worker") - before
        talks.is_held = False
        talks.release.set()
        await _until(lambda: _ended(db) == RUNS + 1)
        await _wake(db, thinkers)
        await _until(lambda: _ended(db) == 2 * RUNS + 1)
    with db.begin() as conn:
        stored: dict[str, float] = {row[0]: row[1] for row in conn.execute(STORED)}
    took = [(stored[name] - talks.first_tokens[name]) * 1000 for name in stored]
    return Thinking(grown / RUNS / 1000, percentile(took, 0.5), percentile(took, 0.99))


async def _wake(db: Database, thinkers: Sequence[AgentWithTrigger]) -> None:
    for thinker in thinkers:
        fire(db, thinker)
        await asyncio.sleep(0)


def _ended(db: Database) -> int:
    with db.begin() as conn:
        return int(conn.execute(ENDED).scalar_one())


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not seen():
            await asyncio.sleep(0.1)
