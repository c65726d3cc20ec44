"""Recorded exchanges with an A2A 1.0 agent, replayed to the `a2a` runtime."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from scheduler.domain.run import Failed, Outcome, Replied, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from tests.integration.net.net_servers import Exchange, serve
from tests.support import conformance
from tests.support.runs import make_parts, make_request

RECORDED: dict[str, Any] = {each["name"]: each for each in conformance.load("a2a/exchanges.json")["exchanges"]}
CARD = json.loads(RECORDED["agent_card"]["response"]["body"])
REJECTED = "The agent answered with an error: rejected"
NOT_APPENDED = "append=True for nonexistent artifact_id"

SENT = {
    "send_message_task_completed": Replied("Hello from TCK"),
    "send_message_direct_message": Replied("Direct message response"),
    "send_message_artifact": Replied("Generated text content"),
    "send_message_input_required": Replied("The agent cannot continue by itself and asks:\n(no further message)"),
    "send_message_rejected": Failed(REJECTED),
    "error_version_not_supported": Failed(
        "The agent answered with an error: A2A version '9.9' is not supported by this handler. "
        "Expected version '1.0'.",
        permanent=True,
    ),
    "error_method_not_found": Failed("The agent answered with an error: Method not found", permanent=True),
    "error_parse": Failed("The agent answered with an error: Invalid Request", permanent=True),
}


def raw(name: str) -> bytes:
    """Returns the recorded answer, on a connection that is then closed."""
    response = RECORDED[name]["response"]
    body: bytes = response["body"].encode()
    lines = [f"HTTP/1.1 {response['status']} Recorded", f"Content-Length: {len(body)}"]
    lines += [f"{key}: {value}" for key, value in response["headers"]]
    return "\r\n".join([*lines, "", ""]).encode() + body


def played(answers: dict[str, str], *, streaming: bool = False, rest: bool = False) -> tuple[Outcome, list[str]]:
    """Returns the outcome with a server that gives each called method its recorded answer; and the calls."""

    async def run() -> tuple[Outcome, list[str]]:
        calls: list[str] = []

        async def answer(exchange: Exchange) -> None:
            if exchange.request_line.startswith("GET /.well-known"):
                binding = "HTTP+JSON" if rest else "JSONRPC"
                base = f"http://{exchange.headers['host']}"
                interface = {"url": base, "protocolBinding": binding, "protocolVersion": "1.0"}
                card = CARD | {"supportedInterfaces": [interface], "capabilities": {"streaming": streaming}}
                body = json.dumps(card).encode()
                await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                return
            called = exchange.request_line.split(" ")[1] if rest else json.loads(exchange.body)["method"]
            calls.append(called)
            await exchange.send(raw(answers[called]))

        async with serve(answer) as server, make_parts() as parts:
            spec = RuntimeSpec("a2a", {"url": server.url.rstrip("/")}, None, 10.0)
            return await make_runtime(spec, parts).run(make_request()), calls

    return asyncio.run(run())


@pytest.mark.parametrize("name", SENT)
def test_a_sent_message_has_the_recorded_outcome(name: str) -> None:
    assert played({"SendMessage": name}) == (SENT[name], ["SendMessage"])


def test_a_stream_is_followed_to_its_end() -> None:
    outcome, calls = played({"SendStreamingMessage": "stream"}, streaming=True)
    assert outcome == Replied("Stream hello from TCK")
    assert calls == ["SendStreamingMessage"]


def test_an_error_within_a_stream_leaves_the_task_which_is_looked_at() -> None:
    answers = {"SendStreamingMessage": "stream_chunked", "GetTask": "get_task"}
    outcome, calls = played(answers, streaming=True)
    assert outcome == Replied("Hello from TCK")
    assert calls == ["SendStreamingMessage", "GetTask"]


def test_a_task_that_has_disappeared_is_retried() -> None:
    answers = {"SendStreamingMessage": "stream_chunked", "GetTask": "error_task_not_found"}
    outcome, _ = played(answers, streaming=True)
    assert outcome == Failed("The agent answered with an error: Task not found")


def test_a_message_sent_by_http_and_json_has_the_recorded_outcome() -> None:
    outcome, calls = played({"/message:send": "rest_send"}, rest=True)
    assert outcome == Replied("Hello from TCK")
    assert calls == ["/message:send"]


def test_a_refusal_by_http_and_json_is_that_of_the_protocol() -> None:
    outcome, _ = played({"/message:send": "rest_task_404"}, rest=True)
    assert outcome == Failed("The agent answered with an error: Task not found")
