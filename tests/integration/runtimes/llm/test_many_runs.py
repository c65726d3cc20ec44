"""Two hundred `llm` agents run at once on one event loop."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.storage.engine import Database
from tests.integration.net.net_servers import Exchange
from tests.support.database import rows
from tests.support.invocations import close, fire
from tests.support.llm import STREAM_HEAD, chunks, make_model, make_thinker, providing, thinking

pytestmark = pytest.mark.anyio

MANY = 200


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_two_hundred_runs_are_under_way_at_once_and_each_has_its_reply(db: Database) -> None:
    all_speak = asyncio.Event()
    speaking = 0

    async def together(exchange: Exchange) -> None:
        nonlocal speaking
        first, *rest = chunks("all at once")
        await exchange.send(STREAM_HEAD + first)
        speaking += 1
        if speaking == MANY:
            all_speak.set()
        await all_speak.wait()
        await exchange.send(b"".join(rest))

    async with providing(together) as provider, thinking(db, stall_seconds=240.0) as thinkers:
        model_id = make_model(db, provider.url)
        for number in range(MANY):
            fire(db, make_thinker(db, model_id, name=f"thinker {number}"))
        async with asyncio.timeout(280):
            await asyncio.gather(*(thinkers.run(each) for each in close(db).ready))
    assert speaking == MANY
    query = "SELECT count(*) AS runs, sum(tokens_out) AS tokens FROM invocations WHERE reply = 'all at once'"
    [ended] = rows(db, query)
    assert (ended.runs, ended.tokens) == (MANY, MANY * 20)
