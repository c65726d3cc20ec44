"""What people see of a run through the API: its transcript, tokens and cost."""

from __future__ import annotations

import asyncio
import re

import pytest

from scheduler.domain.run import Failed, Outcome, Replied, RunRequest
from scheduler.domain.tools import Tool
from tests.support.api import Api
from tests.support.dispatching import dispatch_once
from tests.support.invocations import ready_one
from tests.support.llm import calls, make_model, make_thinker, providing, text, thinking
from tests.support.pages import signed_in
from tests.support.web import free_port

FAILED = Failed("The disk is full.", permanent=True)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_session_tells_of_the_run_and_long_results_are_whole_by_reference(api: Api) -> None:
    long = "x" * 30_000
    tool = Tool("look", "", {"type": "object", "properties": {}}, lambda *_: long)
    async with (
        providing(calls(("look", {})), text("Seen.")) as provider,
        thinking(api.db, tools=[tool]) as thinkers,
    ):
        woken = make_thinker(api.db, make_model(api.db, provider.url))
        invocation_id = ready_one(api.db, woken)
        await thinkers.run(invocation_id)
    [session] = api.get("/sessions", agent_id=woken.agent_id)["items"]
    assert (session["is_reflection"], session["channel"]) == (True, "trigger")
    assert session["invocation_id"] == str(invocation_id)
    messages = api.get(f"/sessions/{session['id']}/messages")["items"]
    assert [message["role"] for message in messages] == ["assistant", "tool_call", "user"]
    call = messages[1]
    assert (call["tool_name"], call["tool_arguments"], call["tool_state"]) == ("look", "{}", "done")
    assert (call["length"], len(call["text"])) == (30_000, 2_000)
    assert call["created_at"] <= call["ended_at"]
    assert api.get(f"/messages/{call['id']}")["text"] == long
    assert "tool_key" not in call
    whole = api.get(f"/invocations/{invocation_id}")
    assert (whole["session_id"], whole["transcript"]) == (session["id"], messages[::-1])
    assert (whole["tokens_in"], whole["tokens_out"], whole["cost"]) == (150, 30, 0.00054)
    [listed] = api.get("/invocations")["items"]
    assert (listed["tokens_in"], listed["cost"]) == (150, 0.00054)


async def test_what_a_run_went_without_is_a_note_to_people(api: Api) -> None:
    async with providing(text("Seen.")) as provider, thinking(api.db) as thinkers:
        gone = [{"name": "gone", "url": f"http://127.0.0.1:{free_port()}/mcp"}]
        invocation_id = ready_one(api.db, make_thinker(api.db, make_model(api.db, provider.url), mcp_servers=gone))
        await thinkers.run(invocation_id)
    context, note, reply = api.get(f"/invocations/{invocation_id}")["transcript"]
    assert (context["role"], note["role"], reply["role"]) == ("user", "note", "assistant")
    assert "'gone'" in note["text"]
    page = signed_in(api).get(f"/invocations/{invocation_id}")
    assert "The MCP server &#39;gone&#39; failed" in page
    assert len(re.findall(r"<strong>(?:<bdi[^>]*>)?system<", page)) == 1


@pytest.mark.parametrize(("outcome", "roles"), [(Replied("Seen."), ["user", "assistant"]), (FAILED, ["user"])])
async def test_an_agent_that_thinks_elsewhere_has_the_context_and_its_reply(
    api: Api, outcome: Outcome, roles: list[str]
) -> None:
    async def end(_: RunRequest) -> Outcome:
        return outcome

    invocation_id = ready_one(api.db)
    await asyncio.to_thread(dispatch_once, api.db, invocation_id, end)
    whole = api.get(f"/invocations/{invocation_id}")
    assert [entry["role"] for entry in whole["transcript"]] == roles
    assert whole["transcript"][0]["text"].startswith("===== Wake context")
    [session] = api.get("/sessions")["items"]
    assert (session["id"], session["invocation_id"]) == (whole["session_id"], str(invocation_id))
    assert (session["channel"], session["is_reflection"]) == ("trigger", True)
    assert session["title"].startswith("🤖 Inner monologue: ")


async def test_what_was_never_run_has_no_session(api: Api) -> None:
    invocation_id = ready_one(api.db)
    api.post(f"/invocations/{invocation_id}/cancel", None, 200)
    whole = api.get(f"/invocations/{invocation_id}")
    assert (whole["session_id"], whole["transcript"], whole["cost"]) == (None, [], 0)
