"""The outcome of a run when its provider fails, answers nonsense, or falls silent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scheduler.domain.tools import Tool
from scheduler.storage.engine import Database
from tests.integration.net.net_servers import Exchange, never
from tests.support import conformance
from tests.support.database import rows
from tests.support.invocations import ready_one, row_of
from tests.support.llm import (
    STREAM_HEAD,
    calls,
    chunks,
    http,
    make_model,
    make_thinker,
    notes,
    providing,
    replayed,
    text,
    thinking,
)

pytestmark = pytest.mark.anyio

EMPTY = {"type": "object", "properties": {}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def run(db: Database, *sayings: Any, tools: tuple[Tool, ...] = (), stall_seconds: float = 20.0) -> Any:
    """Makes one attempt of a new agent's run; returns its row."""
    async with providing(*sayings) as provider, thinking(db, tools=tools, stall_seconds=stall_seconds) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
    assert len(provider.requests) >= 1
    return row_of(db, invocation_id)


def waits(row: Any) -> float:
    """Returns the seconds until the next attempt."""
    return float((row.due_at - row.now).total_seconds())


@pytest.mark.parametrize(
    ("answer", "state", "seconds"),
    [
        (http(429, '{"error": {"message": "slow down"}}', retry_after="77"), "retrying", 77),
        (http(503, "away", retry_after="60"), "retrying", 60),
        (http(500, '{"error": {"message": "oops"}}'), "retrying", 5),
        (http(502, "<html>Bad Gateway</html>", content_type="text/html"), "retrying", 5),
        (http(408, "{}"), "retrying", 5),
        (http(401, '{"error": {"message": "Incorrect API key provided"}}'), "dead", None),
        (http(400, '{"error": {"message": "no such parameter"}}'), "dead", None),
    ],
)
async def test_a_status_says_whether_and_when_it_is_retried(
    db: Database, answer: bytes, state: str, seconds: float | None
) -> None:
    row = await run(db, answer)
    assert row.state == state
    assert row.tokens_in == 0
    if seconds is not None:
        assert waits(row) == pytest.approx(seconds, rel=0.25)


DERIVED = {case["name"]: case for case in conformance.load("llm/derived_failures.json")["cases"]}
TEMPORARY = [
    "disconnect_inside_tool_arguments",
    "disconnect_mid_text",
    "eof_without_finish_reason",
    "empty_200_stream",
    "only_done",
    "html_502",
    "error_429_retry-after_2",
]


@pytest.mark.parametrize("name", TEMPORARY)
async def test_what_is_no_whole_response_is_retried_and_no_tool_called(db: Database, name: str) -> None:
    called: list[Any] = []
    tool = Tool("get_capital", "", EMPTY, lambda *each: called.append(each))
    row = await run(db, replayed(DERIVED[name]["response"]), tools=(tool,))
    assert (row.state, row.reply) == ("retrying", None), row.tries
    assert called == []
    assert rows(db, "SELECT * FROM model_responses") == []


@pytest.mark.parametrize("name", ["error_429_x-should-retry_retry-after_false", "error_429_insufficient_quota"])
async def test_an_error_that_a_retry_cannot_help_ends_the_invocation(db: Database, name: str) -> None:
    assert (await run(db, replayed(DERIVED[name]["response"]))).state == "dead"


@pytest.mark.parametrize("name", ["eof_without_done", "crlf_stream"])
async def test_a_whole_response_counts_however_it_is_framed(db: Database, name: str) -> None:
    assert (await run(db, replayed(DERIVED[name]["response"]))).state == "succeeded"


@pytest.mark.parametrize("file", ["json_invalid_200", "error_429_openrouter"])
async def test_recorded_failures_are_retried(db: Database, file: str) -> None:
    [exchange, *_] = conformance.load(f"llm/{file}.json")["exchanges"]
    row = await run(db, replayed(exchange["response"]))
    assert row.state == "retrying", row.tries


async def test_an_error_in_the_middle_of_a_stream_is_none_the_less_one(db: Database) -> None:
    [exchange] = conformance.load("llm/stream_error_event_midway.json")["exchanges"]
    row = await run(db, replayed(exchange["response"]))
    assert (row.state, row.reply) == ("dead", None)  # its code is 400
    assert "Token limit reached" in row.tries[0]["error"]


async def test_a_model_that_does_not_exist_is_dead(db: Database) -> None:
    [exchange] = conformance.load("llm/error_404_model_not_found.json")["exchanges"]
    row = await run(db, replayed(exchange["response"]))
    assert row.state == "dead"
    assert "does not exist" in row.tries[0]["error"]


async def test_a_connection_cut_in_the_middle_is_retried(db: Database) -> None:
    async def cut(exchange: Exchange) -> None:
        head = STREAM_HEAD.replace(b"\r\n\r\n", b"\r\ncontent-length: 100000\r\n\r\n")
        await exchange.send(head + b"".join(chunks("one two three")[:2]))
        exchange.writer.transport.abort()

    assert (await run(db, cut)).state == "retrying"


async def test_a_silent_model_is_given_up_and_the_fallback_asked_for_the_rest_of_the_try(db: Database) -> None:
    async def stall(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD + b"".join(chunks("one two three")[:2]))
        await never(exchange)

    tool = Tool("look", "", EMPTY, lambda *_: "seen")
    async with (
        providing(stall) as primary,
        providing(calls(("look", {})), text("from the second")) as second,
        thinking(db, tools=[tool], stall_seconds=0.5) as thinkers,
    ):
        settings = {"fallback_model_id": str(make_model(db, second.url))}
        invocation_id = ready_one(db, make_thinker(db, make_model(db, primary.url), settings))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("succeeded", "from the second")
    assert (len(primary.requests), len(second.requests)) == (1, 2)
    [note] = notes(db)
    assert "It sent nothing for 0.5 s. The fallback " in note and note.endswith(" is asked instead.")


async def test_a_silent_model_alone_fails_the_try_for_its_time(db: Database) -> None:
    row = await run(db, never, stall_seconds=0.5)
    assert (row.state, row.reason) == ("retrying", "timeout")


async def test_when_both_models_fail_the_try_waits_for_the_sooner(db: Database) -> None:
    busy = [http(429, "{}", retry_after=seconds) for seconds in ("300", "90")]
    async with providing(busy[0]) as primary, providing(busy[1]) as second, thinking(db) as thinkers:
        settings = {"fallback_model_id": str(make_model(db, second.url))}
        invocation_id = ready_one(db, make_thinker(db, make_model(db, primary.url), settings))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert row.state == "retrying"
    assert waits(row) == pytest.approx(90, rel=0.25)


async def test_a_slow_model_is_waited_for_as_long_as_it_speaks(db: Database) -> None:
    async def slowly(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD)
        for chunk in chunks("one two three four five"):
            await asyncio.sleep(0.2)  # its speed is tested
            await exchange.send(chunk)

    row = await run(db, slowly, stall_seconds=1.0)
    assert (row.state, row.reply) == ("succeeded", "one two three four five")
    assert (row.finished_at - row.started_at).total_seconds() > 1.0


async def test_a_run_ends_with_the_agents_timeout(db: Database) -> None:
    async with providing(never) as provider, thinking(db) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url), timeout_seconds=1)
        invocation_id = ready_one(db, woken)
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("retrying", "timeout")


@pytest.mark.parametrize(
    ("values", "reason"), [({"is_enabled": False}, "model_disabled"), (None, "model_missing")]
)
async def test_without_an_enabled_model_the_run_is_skipped_and_its_firings_kept(
    db: Database, values: dict[str, Any] | None, reason: str
) -> None:
    model_id = make_model(db, "http://127.0.0.1:1/v1", **(values or {}))
    invocation_id = ready_one(db, make_thinker(db, model_id))
    if values is None:
        with db.begin() as conn:
            conn.exec_driver_sql("DELETE FROM models")
    async with thinking(db) as thinkers:
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, len(row.firing_ids)) == ("skipped", reason, 1)
    [event] = rows(db, "SELECT detail FROM audit_events WHERE action = 'invocation.skipped'")
    assert event.detail["reason"] == reason
    [firing] = rows(db, "SELECT state FROM firings")
    assert firing.state == "skipped"


async def test_a_disabled_primary_leaves_the_fallback(db: Database) -> None:
    async with providing(text("here")) as provider, thinking(db) as thinkers:
        disabled = make_model(db, "http://127.0.0.1:1/v1", is_enabled=False)
        woken = make_thinker(db, disabled, {"fallback_model_id": str(make_model(db, provider.url))})
        invocation_id = ready_one(db, woken)
        await thinkers.run(invocation_id)
    assert row_of(db, invocation_id).reply == "here"


async def test_an_address_that_the_operator_did_not_open_is_never_asked(db: Database) -> None:
    async with thinking(db) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, "http://10.0.0.1/v1")))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert row.state == "dead"
    assert "10.0.0.1" in row.tries[0]["error"]
