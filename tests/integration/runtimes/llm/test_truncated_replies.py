"""Responses that a token limit truncated: they continue, or end with a note; an empty one is a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.domain.model import Trust
from scheduler.storage.engine import Database
from tests.integration.net.net_servers import Exchange, serve
from tests.integration.runtimes.llm.test_providers import anthropic_events, google_events
from tests.support.database import change
from tests.support.invocations import ready_one, row_of
from tests.support.llm import STREAM_HEAD, calls, http, make_model, make_thinker, notes, providing, text, thinking

pytestmark = pytest.mark.anyio

CUT = "[Cut here: the reply reached the model's limit after {} tokens.]"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_cut_reply_goes_on_where_it_stopped(db: Database) -> None:
    sayings = (text("Once upon a", finish="length"), text(" time there was", finish="length"), text(" an end."))
    async with providing(*sayings) as provider, thinking(db) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply, row.reply_truncated) == (
        "succeeded",
        "Once upon a time there was an end.",
        False,
    )
    assert row.tokens_out == 60
    said, told = provider.told()[-2:]
    assert (said["role"], said["content"]) == ("assistant", " time there was")
    assert "Go on exactly where it stops" in str(told["content"])
    assert len([each for each in notes(db) if "limit of 20 tokens" in each]) == 2


async def test_what_will_not_end_is_ended_with_a_note_and_its_tokens(db: Database) -> None:
    async with providing(text("and on ", finish="length")) as provider, thinking(db) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply_truncated) == ("succeeded", True)
    assert row.reply == "and on " * 3 + f"and on\n\n{CUT.format(80)}"
    assert len(provider.requests) == 4


@pytest.mark.parametrize(("language", "note"), [("en", CUT.format(20)), ("zh", "共 20 个 token")])
async def test_a_limit_that_the_owner_set_is_kept(db: Database, language: str, note: str) -> None:
    async with providing(text("and then", finish="length")) as provider, thinking(db) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url, max_output_tokens=7), language=language)
        invocation_id = ready_one(db, woken)
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply_truncated) == ("succeeded", True)
    assert row.reply.startswith("and then\n\n")
    assert note in row.reply
    assert [request["max_tokens"] for request in provider.requests] == [7]


async def test_a_continuation_is_not_asked_for_again_by_the_next_try(db: Database) -> None:
    sayings = (text("Once", finish="length"), http(500, "{}"), text(" more."))
    async with providing(*sayings) as provider, thinking(db) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
        assert row_of(db, invocation_id).state == "retrying"
        change(db, "UPDATE invocations SET state = 'ready', due_at = NULL")
        await thinkers.run(invocation_id, 2)
    row = row_of(db, invocation_id)
    assert (row.reply, len(provider.requests)) == ("Once more.", 3)
    assert len([each for each in notes(db) if "asked to continue" in each]) == 1


SILENT: dict[str, bytes] = {
    "openai-compatible": text("", finish="length"),
    "anthropic": STREAM_HEAD
    + anthropic_events({"type": "text", "text": ""}, {"type": "text_delta", "text": ""}, "max_tokens"),
    "google": STREAM_HEAD + google_events({"text": ""}, "MAX_TOKENS"),
}
TALKING: dict[str, bytes] = {
    "openai-compatible": text("Half", finish="length"),
    "anthropic": STREAM_HEAD
    + anthropic_events({"type": "text", "text": ""}, {"type": "text_delta", "text": "Half"}, "max_tokens"),
    "google": STREAM_HEAD + google_events({"text": "Half"}, "MAX_TOKENS"),
}
TOKENS = {"openai-compatible": 20, "anthropic": 7, "google": 7}


async def ended(db: Database, provider: str, saying: bytes, **model: Any) -> Any:
    """Returns the row of a run whose provider says exactly this."""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(saying)

    async with serve(answer) as server, thinking(db) as thinkers:
        invocation_id = ready_one(
            db, make_thinker(db, make_model(db, server.url.rstrip("/"), provider=provider, **model))
        )
        await thinkers.run(invocation_id)
    return row_of(db, invocation_id)


@pytest.mark.parametrize("provider", SILENT)
async def test_a_model_that_spent_its_tokens_without_a_word_has_failed(db: Database, provider: str) -> None:
    row = await ended(db, provider, SILENT[provider])
    assert (row.state, row.reply, row.tokens_out) == ("dead", None, TOKENS[provider])
    assert f"token limit after {TOKENS[provider]} tokens without any text" in row.tries[0]["error"]


@pytest.mark.parametrize(
    ("saying", "reply", "error"),
    [
        (text("<think>So far", finish="length"), None, "without any text"),
        (text("<think>Hm.</think>\n\nYes."), "Yes.", None),
        (text("<think>Hm.</think> \n"), None, "without an answer, although somebody waits"),
        (text(""), None, "without an answer, although somebody waits"),
        (text(" \u200b\n"), None, "without an answer, although somebody waits"),
        (text("Hm.</think>\n\nYes."), "Yes.", None),
        (text("Write </think> at the end."), "Write </think> at the end.", None),
    ],
    ids=[
        "thoughts cut",
        "thoughts and a reply",
        "thoughts alone",
        "nothing",
        "invisible",
        "thoughts end",
        "a tag",
    ],
)
async def test_thoughts_and_silence_are_not_an_answer(
    db: Database, saying: bytes, reply: str | None, error: str | None
) -> None:
    async with providing(saying) as provider, thinking(db) as thinkers:
        invocation_id = ready_one(
            db,
            make_thinker(db, make_model(db, provider.url)),
            data={"messages": [{"from": {"type": "user", "name": "Ada"}, "text": "Well?"}]},
            trust=Trust.VERIFIED,
        )
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert row.reply == reply
    assert row.state == ("succeeded" if error is None else "dead")
    assert error is None or error in row.tries[0]["error"]


@pytest.mark.parametrize(("then", "state"), [("Yes.", "succeeded"), ("", "dead")])
async def test_a_model_that_worked_silently_is_reminded_once_that_a_person_waits(
    db: Database, then: str, state: str
) -> None:
    async with (
        providing(calls(("list_triggers", {})), text(""), text(then)) as provider,
        thinking(db) as thinkers,
    ):
        invocation_id = ready_one(
            db,
            make_thinker(db, make_model(db, provider.url)),
            data={"messages": [{"from": {"type": "user", "name": "Ada"}, "text": "Well?"}]},
            trust=Trust.VERIFIED,
        )
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply, len(provider.requests)) == (state, then or None, 3)
    assert "somebody waits for your answer" in provider.told()[-1]["content"]


async def test_a_model_that_nobody_asked_may_stay_silent(db: Database) -> None:
    row = await ended(db, "openai-compatible", text(""))
    assert (row.state, row.reply) == ("succeeded", "")


@pytest.mark.parametrize("provider", TALKING)
async def test_each_providers_own_word_for_a_cut_is_known(db: Database, provider: str) -> None:
    row = await ended(db, provider, TALKING[provider], max_output_tokens=1024)
    assert (row.state, row.reply) == ("succeeded", f"Half\n\n{CUT.format(TOKENS[provider])}")


async def test_of_an_awaited_answer_that_was_cut_its_beginning_is_the_reply(db: Database) -> None:
    written = json.dumps({"user_message": "The report is", "internal_notes": ""})[:30]
    async with (
        providing(calls(("final_answer", written), finish="length")) as provider,
        thinking(db) as thinkers,
    ):
        woken = make_thinker(db, make_model(db, provider.url))
        change(db, "UPDATE triggers SET type = 'a2a_wait' WHERE id = :id", id=woken.trigger_id)
        invocation_id = ready_one(db, woken, trust=Trust.AGENT)
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply_truncated) == ("succeeded", True)
    assert row.reply == f"The report i\n\n{CUT.format(10)}"
