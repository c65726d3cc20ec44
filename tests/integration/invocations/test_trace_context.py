"""The trace context that comes with calls and messages, and that agents are given."""

from __future__ import annotations

import asyncio

from scheduler.domain.run import Outcome, Replied, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from tests.integration.net.net_servers import Exchange, serve
from tests.support.a2a_client import immediate
from tests.support.api import Api
from tests.support.database import rows
from tests.support.http_agents import answered
from tests.support.runs import SECRET, make_parts, make_request

SENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
A2A = {"A2A-Version": "1.0"}


def test_calls_and_messages_take_the_trace_of_their_request(api: Api) -> None:
    agent = api.agent("ada")["id"]
    api.post("/users", {"name": "grace"})
    api.trigger(agent, "hears", type="on_message", config={"from_user": "grace"})
    headers = {"traceparent": SENT}
    assert api.call("POST", f"/agents/{agent}/wake", {"message": "up"}, headers=headers).status_code == 202
    body = {"from": {"type": "user", "name": "grace"}, "to_agent_id": agent, "text": "hello"}
    assert api.call("POST", "/messages", body, headers=headers).status_code == 201
    api.call("POST", f"/agents/{agent}/wake", {"message": "again"}, headers={"traceparent": "no"})
    assert api.call("POST", f"//a2a/{agent}", immediate("1"), headers=headers | A2A).status_code == 200
    kept = rows(
        api.db,
        "SELECT f.trigger_type, t.traceparent FROM firings f JOIN firing_traces t ON t.firing_id = f.id ORDER BY f.id",
    )
    assert [tuple(each) for each in kept] == [("wake", SENT), ("on_message", SENT), ("wake", SENT)]


def test_agents_are_given_the_trace_by_header_and_by_variable() -> None:
    async def run() -> tuple[Exchange, Outcome]:
        async with serve(answered("200 OK")) as server, make_parts({"it": ["/usr/bin/env"]}) as parts:
            request = make_request(traceparent=SENT)
            await make_runtime(RuntimeSpec("http", {"url": server.url}, SECRET, 10), parts).run(request)
            told = await make_runtime(RuntimeSpec("command", {"name": "it"}, None, 10), parts).run(request)
            return server.exchanges[0], told

    sent, told = asyncio.run(run())
    assert sent.headers["traceparent"] == SENT
    assert b"traceparent" not in sent.body
    assert isinstance(told, Replied)
    assert f"TRACEPARENT={SENT}" in told.text.split("\n")
