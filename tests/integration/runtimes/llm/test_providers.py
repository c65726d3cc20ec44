"""Each provider with its own protocol, at our own address: its library uses no address and no key of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from scheduler.domain.tools import Tool
from scheduler.storage.engine import Database
from tests.integration.net.net_servers import Exchange, serve
from tests.support.invocations import ready_one, row_of
from tests.support.llm import STREAM_HEAD, make_model, make_thinker, thinking

pytestmark = pytest.mark.anyio

TOOL = Tool("look", "", {"type": "object", "properties": {}}, lambda *_: "seen")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def anthropic_events(block: dict[str, Any], delta: dict[str, Any], why: str) -> bytes:
    """Returns a stream of Anthropic's Messages API with one content block; 25 input and 7 output tokens."""
    usage = {"input_tokens": 25, "output_tokens": 1}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "c-1", "content": [], "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": why, "stop_sequence": None},
            "usage": {"output_tokens": 7},
        },
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


def google_events(part: dict[str, Any], why: str = "STOP") -> bytes:
    """Returns a stream of Google's generateContent with one part; 25 input and 7 output tokens."""
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": why, "index": 0}
    usage = {"promptTokenCount": 25, "candidatesTokenCount": 7, "totalTokenCount": 32}
    event = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g-1", "responseId": "r1"}
    return f"data: {json.dumps(event)}\r\n\r\n".encode()


TALKS = {
    "anthropic": (
        anthropic_events(
            {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": "{}"},
            "tool_use",
        ),
        anthropic_events({"type": "text", "text": ""}, {"type": "text_delta", "text": "I saw it."}, "end_turn"),
        ("authorization", "Bearer sk-test"),
        "/v1/messages",
    ),
    "google": (
        google_events({"functionCall": {"name": "look", "args": {}}}),
        google_events({"text": "I saw it."}),
        ("x-goog-api-key", "sk-test"),
        "/v1beta/models/m-1:streamGenerateContent",
    ),
}


@pytest.mark.parametrize("provider", list(TALKS))
async def test_a_provider_calls_a_tool_and_replies(
    db: Database, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "the-operators-own")
    call, reply, (key_header, key), path = TALKS[provider]
    sayings = [call, reply]

    async def answer(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD + sayings.pop(0))

    async with serve(answer) as server, thinking(db, tools=[TOOL]) as thinkers:
        model_id = make_model(db, server.url.rstrip("/"), provider=provider)
        invocation_id = ready_one(db, make_thinker(db, model_id))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply, row.tokens_in, row.tokens_out) == ("succeeded", "I saw it.", 50, 14), row.tries
    assert len(server.exchanges) == 2
    for exchange in server.exchanges:
        assert exchange.headers[key_header] == key
        assert "the-operators-own" not in exchange.head
        assert exchange.request_line.split()[1].startswith(path)
    assert "seen" in server.exchanges[1].body.decode()


@pytest.mark.parametrize("provider", list(TALKS))
async def test_a_stream_that_breaks_off_is_no_reply(db: Database, provider: str) -> None:
    whole = TALKS[provider][1]
    short = whole[: whole.index(b"event: content_block_stop")] if provider == "anthropic" else b""

    async def answer(exchange: Exchange) -> None:
        await exchange.send(STREAM_HEAD + short)

    async with serve(answer) as server, thinking(db) as thinkers:
        model_id = make_model(db, server.url.rstrip("/"), provider=provider)
        invocation_id = ready_one(db, make_thinker(db, model_id))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("retrying", None), row.tries


@pytest.mark.parametrize("provider", [*TALKS, "openai"])
async def test_a_busy_provider_is_asked_again_later_and_not_at_once(db: Database, provider: str) -> None:
    busy = b"HTTP/1.1 429 Busy\r\nretry-after: 50\r\ncontent-length: 2\r\n\r\n{}"
    async with serve(busy) as server, thinking(db) as thinkers:
        model_id = make_model(db, server.url.rstrip("/"), provider=provider)
        invocation_id = ready_one(db, make_thinker(db, model_id))
        await thinkers.run(invocation_id)
    row = row_of(db, invocation_id)
    assert len(server.exchanges) == 1
    assert row.state == "retrying"
    assert 10 < (row.due_at - row.now).total_seconds() <= 50


def test_a_worker_does_not_load_the_libraries_before_an_agent_needs_them() -> None:
    code = (
        "import sys, scheduler.worker; print([n for n in ('pydantic_ai', 'openai', 'httpx2') if n in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
