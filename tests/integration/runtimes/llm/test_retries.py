"""A run that is stopped and retried continues where it was: nothing is requested or done twice."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.tools import Tool
from scheduler.invocations.dispatch import SHUTDOWN
from scheduler.invocations.lifecycle import request_cancel
from scheduler.storage.engine import Database
from tests.integration.net.net_servers import Exchange
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import close, ready_one, row_of
from tests.support.llm import (
    STREAM_HEAD,
    calls,
    chunks,
    http,
    make_model,
    make_thinker,
    providing,
    text,
    thinking,
    until,
)

pytestmark = pytest.mark.anyio

EMPTY = {"type": "object", "properties": {}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def retry(db: Database, invocation_id: UUID) -> None:
    """Makes a failed invocation ready again."""
    change(db, "UPDATE invocations SET due_at = now() WHERE state = 'retrying'")
    assert invocation_id in close(db).ready


def states(db: Database) -> list[tuple[str, str]]:
    """Returns the state and the result of each tool call."""
    found = rows(db, "SELECT tool_state, text FROM messages WHERE tool_key <> '' ORDER BY id")
    return [(row.tool_state, row.text) for row in found]


async def test_a_retry_has_the_results_of_the_tools_that_were_called(db: Database) -> None:
    called: list[Any] = []

    def look(*each: Any) -> str:
        called.append(each)
        return f"look {len(called)}"

    said = (
        calls(("look", {"n": 1}), ("look", {"n": 2}), said="Let me look."),
        http(500, "{}"),
        text("Both were seen."),
    )
    async with providing(*said) as provider, thinking(db, tools=[Tool("look", "", EMPTY, look)]) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
        assert row_of(db, invocation_id).state == "retrying"
        retry(db, invocation_id)
        await thinkers.run(invocation_id, attempt=2)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("succeeded", "Both were seen.")
    assert len(called) == 2
    assert provider.told(2) == provider.told(1)
    assert [message["content"] for message in provider.told(2)[-2:]] == ["look 1", "look 2"]
    assert (row.tokens_in, row.tokens_out) == (150, 30)
    assert len(rows(db, "SELECT * FROM sessions")) == 1
    assert len(rows(db, "SELECT * FROM messages WHERE from_type = 'system'")) == 1


async def test_a_call_that_the_worker_did_not_survive_is_not_repeated_and_the_model_told_so(db: Database) -> None:
    begun, release = threading.Event(), threading.Event()
    called: list[Any] = []

    def hang(*each: Any) -> str:
        called.append(each)
        begun.set()
        release.wait(30)
        return "too late"

    async with (
        providing(calls(("hang", {})), text("I looked first.")) as provider,
        thinking(db, tools=[Tool("hang", "", EMPTY, hang)]) as thinkers,
    ):
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        running = asyncio.ensure_future(thinkers.run(invocation_id))
        await until(begun.is_set)
        assert states(db) == [("running", "")]
        running.cancel()  # as a shutdown does
        await asyncio.wait({running})
        assert row_of(db, invocation_id).reason == SHUTDOWN.reason
        retry(db, invocation_id)
        await thinkers.run(invocation_id, attempt=2)
        release.set()
    assert row_of(db, invocation_id).reply == "I looked first."
    assert len(called) == 1
    [(state, result)] = states(db)
    assert (state, result) == ("interrupted", provider.told()[-1]["content"])
    assert "may or may not have taken effect" in result


async def test_a_call_that_ends_soon_after_the_stop_keeps_its_result(db: Database) -> None:
    begun, release = threading.Event(), threading.Event()

    def soon(*_: Any) -> str:
        begun.set()
        release.wait(30)
        return "in time"

    async with (
        providing(calls(("soon", {})), text("Good.")) as provider,
        thinking(db, tools=[Tool("soon", "", EMPTY, soon)]) as thinkers,
    ):
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        running = asyncio.ensure_future(thinkers.run(invocation_id))
        await until(begun.is_set)
        running.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        await asyncio.wait({running})
        assert states(db) == [("done", "in time")]
        retry(db, invocation_id)
        await thinkers.run(invocation_id, attempt=2)
    assert provider.told()[-1]["content"] == "in time"


async def test_a_reply_that_was_heard_but_not_stored_is_not_asked_for_again(db: Database) -> None:
    async with providing(text("Once.")) as provider, thinking(db) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
        # As if the worker had been lost before it wrote the end.
        change(db, "DELETE FROM notifications")
        change(db, "UPDATE invocations SET state = 'retrying', due_at = now(), reply = NULL, finished_at = NULL")
        retry(db, invocation_id)
        await thinkers.run(invocation_id, attempt=2)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply, len(provider.requests)) == ("succeeded", "Once.", 1)


async def test_cancel_stops_a_response_in_the_middle_and_closes_its_connection(db: Database) -> None:
    closed = asyncio.Event()
    spoken = asyncio.Event()

    async def stall(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD + b"".join(chunks("one two three")[:2]))
        spoken.set()
        try:
            while True:
                await exchange.send(chunks("more")[0])
                await asyncio.sleep(0.01)
        except ConnectionError:
            closed.set()

    async with providing(stall) as provider, thinking(db) as thinkers:
        watching = asyncio.ensure_future(thinkers.dispatcher.watch())
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        running = asyncio.ensure_future(thinkers.run(invocation_id))
        await spoken.wait()
        with db.begin() as conn:
            request_cancel(conn, DEFAULT_TENANT, invocation_id, "test")
        async with asyncio.timeout(20):
            await running
            await closed.wait()
        watching.cancel()
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("cancelled", None)


async def test_a_run_that_was_taken_away_calls_no_tool(db: Database) -> None:
    called: list[Any] = []
    tool = Tool("look", "", EMPTY, lambda *each: called.append(each))

    async def taken(exchange: Exchange) -> None:
        change(db, "UPDATE invocations SET attempt = attempt + 1")
        await exchange.send(calls(("look", {})))

    async with providing(taken) as provider, thinking(db, tools=[tool]) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
    assert called == []
    assert row_of(db, invocation_id).state == "running"
    assert rows(db, "SELECT * FROM model_responses") == []
