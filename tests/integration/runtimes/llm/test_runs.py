"""A run of an `llm` agent: what the model is told, how its response is used, what people see of it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.domain.model import Trust
from scheduler.domain.tools import Tool, ToolCaller
from scheduler.storage.engine import Database
from scheduler.storage.usage import usage_by_trigger
from tests.support import conformance
from tests.support.database import change, rows
from tests.support.factories import make_trigger
from tests.support.invocations import close, fire, ready_one, row_of
from tests.support.llm import calls, make_model, make_thinker, notes, providing, replayed, text, thinking

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Notebook:
    """A tool that records its calls."""

    def __init__(self, result: Any = "London") -> None:
        self.called: list[tuple[ToolCaller, dict[str, Any]]] = []
        self._result = result
        schema = {"type": "object", "properties": {"country": {"type": "string"}}, "required": ["country"]}
        self.tool = Tool("get_capital", "The capital of a country.", schema, self._call)

    def _call(self, caller: ToolCaller, arguments: Any) -> Any:
        self.called.append((caller, dict(arguments)))
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def transcript(db: Database, invocation_id: Any) -> list[tuple[str, str | None, str | None, str]]:
    """Returns the sender's type, tool, state and text of each message."""
    query = """
        SELECT m.from_type, m.tool_name, m.tool_state, m.text FROM sessions s JOIN messages m ON m.session_id = s.id
        WHERE s.invocation_id = :id ORDER BY m.id
    """
    return [tuple(row) for row in rows(db, query, id=invocation_id)]


async def test_the_model_is_told_its_place_and_the_context_and_its_words_are_the_reply(db: Database) -> None:
    async with providing(text("All is well, on time.")) as provider, thinking(db) as thinkers:
        settings = {"instructions": "Be brief."}
        woken = make_thinker(db, make_model(db, provider.url), settings, role_description="You keep watch.")
        invocation_id = ready_one(db, woken, payload=b"the payload", trust=Trust.UNAUTHENTICATED)
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("succeeded", "All is well, on time.")
    system, user = provider.told()
    assert system["role"] == "system"
    assert "You are thinker." in system["content"]
    assert "You keep watch." in system["content"]
    assert system["content"].endswith("Be brief.")
    now, _, context = user["content"].partition("\n\n")
    assert (user["role"], context) == ("user", row.context)
    assert now.startswith("Now: ") and now.endswith("(UTC, UTC+00:00)")
    assert "the payload" in row.context
    assert provider.keys == ["Bearer sk-test"]
    assert provider.requests[0]["model"] == "m-1"
    assert provider.requests[0]["stream"] is True
    assert transcript(db, invocation_id) == [
        ("system", None, None, row.context),
        ("agent", None, None, "All is well, on time."),
    ]
    [session] = rows(db, "SELECT * FROM sessions")
    assert (session.channel, session.is_reflection, session.agent_id) == ("trigger", True, woken.agent_id)
    assert (session.title, session.invocation_id) != ("", None)


async def test_a_tool_is_called_and_the_model_told_what_it_returned(db: Database) -> None:
    notebook = Notebook({"capital": "London"})
    said = (calls(("get_capital", {"country": "UK"}), said="Let me look."), text("It is London."))
    async with providing(*said) as provider, thinking(db, tools=[notebook.tool]) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url))
        invocation_id = ready_one(db, woken)
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert row.reply == "It is London."
    [(caller, arguments)] = notebook.called
    assert arguments == {"country": "UK"}
    assert (caller.agent_id, caller.invocation_id, caller.tenant_id) == (
        woken.agent_id,
        invocation_id,
        row.tenant_id,
    )
    [offered] = provider.requests[0]["tools"]
    assert offered["function"]["name"] == "get_capital"
    call, result = provider.told()[-2:]
    [made] = call["tool_calls"]
    assert (made["function"]["name"], json.loads(made["function"]["arguments"])) == (
        "get_capital",
        {"country": "UK"},
    )
    assert (result["role"], result["tool_call_id"]) == ("tool", "call_0")
    assert result["content"] == '{"capital": "London"}'
    assert transcript(db, invocation_id)[1:] == [
        ("agent", None, None, "Let me look."),
        ("agent", "get_capital", "done", '{"capital": "London"}'),
        ("agent", None, None, "It is London."),
    ]


async def test_tokens_and_cost_are_counted_on_the_run_the_day_and_each_trigger(db: Database) -> None:
    said = (calls(("get_capital", {"country": "UK"})), text("London."))
    async with providing(*said) as provider, thinking(db, tools=[Notebook().tool]) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url))
        other = make_trigger(db, woken.agent_id, "webhook", cooldown_seconds=0.0)
        fire(db, woken, 2)
        fire(db, type(woken)(woken.agent_id, other.id))
        [invocation_id] = close(db).ready
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    cost = Decimal(150 * 2 + 30 * 8) / 1_000_000
    assert (row.tokens_in, row.tokens_out, row.cost) == (150, 30, cost)
    [day] = rows(db, "SELECT * FROM agent_usage")
    assert (day.agent_id, day.tokens_in, day.tokens_out, day.cost) == (woken.agent_id, 150, 30, cost)
    assert (day.invocations, day.tenant_id) == (1, row.tenant_id)
    with db.begin() as conn:
        shares = usage_by_trigger(conn, woken.agent_id, days=1)
    shared = {share.trigger_id: (share.firings, int(share.tokens_in), share.cost) for share in shares}
    assert shared[woken.trigger_id][:2] == (2, 100)
    assert shared[other.id][:2] == (1, 50)
    assert sum(share[2] for share in shared.values()) == pytest.approx(cost)


@pytest.mark.parametrize("file", ["stream_text", "stream_tool_round_then_text", "stream_parallel_tool_calls"])
async def test_what_a_real_provider_said_is_understood(db: Database, file: str) -> None:
    exchanges = conformance.load(f"llm/{file}.json")["exchanges"]
    sayings = [replayed(exchange["response"]) for exchange in exchanges]
    names = {
        tool["function"]["name"]
        for exchange in exchanges
        for tool in exchange["request"]["json"].get("tools", [])
        if tool["function"]["name"] != "final_result"
    }
    tools = [Tool(name, "", {"type": "object", "properties": {}}, lambda *_: "something") for name in names]
    async with providing(*sayings) as provider, thinking(db, tools=tools) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert row.tokens_out > 0 or file == "stream_text"
    states = [state for _, tool, state, _ in transcript(db, invocation_id) if tool in names]
    assert (
        len(states) == {"stream_text": 0, "stream_tool_round_then_text": 1, "stream_parallel_tool_calls": 3}[file]
    )
    assert set(states) <= {"done"}
    if file == "stream_text":
        assert (row.state, row.reply) == ("succeeded", '"This is a test."')


async def test_an_error_of_a_tool_is_a_result_that_the_model_reads(db: Database) -> None:
    broken = Notebook(InvalidField("country: there is no such country; give its English name.", field="country"))
    asked: list[tuple[str, Any]] = [
        ("get_capital", {"country": "UQ"}),
        ("get_capital", '{"country": "U'),
        ("no_such_tool", {}),
    ]
    async with (
        providing(calls(*asked), text("Never mind.")) as provider,
        thinking(db, tools=[broken.tool]) as thinkers,
    ):
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url)))
        await thinkers.run(invocation_id)
    assert row_of(db, invocation_id).reply == "Never mind."
    assert len(broken.called) == 1
    first, second, third = [message["content"] for message in provider.told()[-3:]]
    assert "give its English name" in first
    assert "not a JSON object" in second
    assert "available: get_capital" in third
    assert [state for *_, state, _ in transcript(db, invocation_id)[1:4]] == ["failed"] * 3


async def test_tool_rounds_end_with_a_request_for_the_reply(db: Database) -> None:
    notebook = Notebook()
    sayings = (*[calls(("get_capital", {"country": "UK"}))] * 3, text("That was all."))
    async with providing(*sayings) as provider, thinking(db, tools=[notebook.tool]) as thinkers:
        invocation_id = ready_one(db, make_thinker(db, make_model(db, provider.url), {"tool_rounds": 3}))
        await thinkers.run(invocation_id)
    assert len(notebook.called) == 3
    assert [request.get("tool_choice", "auto") for request in provider.requests] == ["auto"] * 3 + ["none"]
    assert "no tool calls left" in provider.told()[-1]["content"]
    assert row_of(db, invocation_id).reply == "That was all."
    assert notes(db) == ["Its 3 tool rounds are used up: it is asked for its reply."]


async def test_a_model_that_goes_on_calling_tools_is_stopped(db: Database) -> None:
    notebook = Notebook()
    asked = calls(("get_capital", {"country": "UK"}))
    async with providing(asked) as provider, thinking(db, tools=[notebook.tool]) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url))
        invocation_id = ready_one(db, woken, trust=Trust.AGENT)
        await thinkers.run(invocation_id)
    assert len(notebook.called) == 2  # only agents woke it
    assert row_of(db, invocation_id).state == "succeeded"


async def test_an_unauthenticated_payload_leaves_the_tools_that_are_set_for_it(db: Database) -> None:
    harmless, strong = Notebook(), Notebook()
    tools = [harmless.tool, Tool("wake_agent", "", {"type": "object", "properties": {}}, strong.tool.call)]
    settings = {"tools_by_trust": {"unauthenticated": ["get_capital"]}}
    async with providing(calls(("wake_agent", {})), text("no")) as provider, thinking(db, tools=tools) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url), settings)
        fire(db, woken, trust=Trust.SYSTEM)
        await thinkers.run(ready_one(db, woken, trust=Trust.UNAUTHENTICATED))
        [offered] = provider.requests[0]["tools"]
        assert offered["function"]["name"] == "get_capital"
        assert strong.called == []
        await thinkers.run(ready_one(db, woken, trust=Trust.SYSTEM))
    assert len(provider.requests[-1]["tools"]) == 2


async def test_the_answer_to_an_awaited_agent_is_told_without_what_stays_among_agents(db: Database) -> None:
    answer = {"user_message": "Well-focused work, on time.", "internal_notes": "bob asked carol"}
    async with providing(text("I forgot"), calls(("final_answer", answer))) as provider, thinking(db) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url))
        invocation_id = ready_one(db, woken, trust=Trust.AGENT)
        change(db, "UPDATE firings SET trigger_type = 'a2a_wait'")
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("succeeded", "Well-focused work, on time.")
    [offered] = provider.requests[0]["tools"]
    assert sorted(offered["function"]["parameters"]["properties"]) == ["internal_notes", "user_message"]
    assert transcript(db, invocation_id)[-1] == ("agent", None, None, "Well-focused work, on time.")


async def test_a_key_may_be_in_a_variable_of_the_worker(db: Database) -> None:
    async with providing(text("yes")) as provider, thinking(db) as thinkers:
        woken = make_thinker(db, make_model(db, provider.url, key=None, key_env="A_MODELS_KEY"))
        await thinkers.run(ready_one(db, woken))
        assert provider.keys == ["Bearer sk-from-the-environment"]
        missing = make_thinker(db, make_model(db, provider.url, key=None, key_env="NOT_SET"), name="other")
        invocation_id = ready_one(db, missing)
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert row.state == "dead"
    assert "NOT_SET" in row.tries[0]["error"]
