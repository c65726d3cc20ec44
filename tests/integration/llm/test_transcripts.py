"""What people find of a run through the API: its transcript, tokens and cost."""

from __future__ import annotations

import pytest

from scheduler.domain.tools import Tool
from tests.api import Api
from tests.invocations import ready_one
from tests.llm import calls, make_model, make_thinker, providing, text, thinking
from tests.pages import signed_in
from tests.web import free_port

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
    assert page.count("<strong>system</strong>") == 1


async def test_an_invocation_of_another_runtime_has_no_transcript(api: Api) -> None:
    whole = api.get(f"/invocations/{ready_one(api.db)}")
    assert (whole["session_id"], whole["transcript"], whole["cost"]) == (None, [], 0)
