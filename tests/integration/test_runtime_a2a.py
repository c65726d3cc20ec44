"""The `a2a` runtime against a real A2A server: what it sends, how it follows a task, and what each end comes to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest, RuntimeSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.engine import Database
from scheduler.storage.remote_tasks import KnownTask, RemoteTasks
from tests import a2a_agent as far
from tests.a2a_agent import Agent, remote_agent
from tests.runs import LOOPBACK, make_parts, make_request

HOW = {
    "streaming": {},
    "polling": {"streaming": False},
    "rest": {"rest": True},
    "version-0.3": {"version": "0.3"},
    "rest-0.3": {"rest": True, "version": "0.3"},
}


async def run(
    url: str,
    *,
    request: RunRequest | None = None,
    secret: str | None = None,
    timeout: float = 20.0,
    memory: RemoteTasks | None = None,
    allow: AllowedPrivate = LOOPBACK,
) -> Outcome:
    async with make_parts(allow_private=allow, remote_tasks=memory) as parts:
        spec = RuntimeSpec("a2a", {"url": url}, secret, timeout)
        return await make_runtime(spec, parts).run(request or make_request())


def outcome_of(agent: Agent, **values: Any) -> Outcome:
    return asyncio.run(run(agent.url, **values))


@pytest.mark.parametrize("how", HOW)
def test_the_context_is_sent_and_the_artifact_is_the_reply(how: str) -> None:
    request = make_request(context="Deploy failed.\nLook at it.")
    with remote_agent(far.completes, **HOW[how]) as agent:  # type: ignore[arg-type]
        assert outcome_of(agent, request=request) == Replied("It is done.")
        assert agent.received == ["Deploy failed.\nLook at it."]
        assert agent.message_ids == [str(request.invocation_id)]


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (far.says_it_in_its_status, Replied("Nothing to do.")),
        (far.answers_directly, Replied("Straight away.")),
        (far.asks, Replied("The agent cannot go on by itself and asks:\nWhich disk?")),
        (far.fails, Failed("The agent's task failed: The disk is full.")),
        (far.rejects, Failed("The agent rejected the task: Not my job.", permanent=True)),
        (
            far.wants_credentials,
            Failed("The agent asks for other credentials than it was given: Sign in first.", permanent=True),
        ),
    ],
)
@pytest.mark.parametrize("streaming", [True, False])
def test_each_end_of_a_task_is_an_outcome(behaviour: far.Behaviour, outcome: Outcome, *, streaming: bool) -> None:
    with remote_agent(behaviour, streaming=streaming) as agent:
        assert outcome_of(agent) == outcome


def test_the_secret_and_the_headers_go_with_every_call() -> None:
    secret = json.dumps({"secret": "token-1", "headers": {"X-Team": "blue"}})
    with remote_agent(far.completes) as agent:
        assert outcome_of(agent, secret=secret) == Replied("It is done.")
        assert [each["authorization"] for each in agent.headers] == ["Bearer token-1"] * 2
        assert [each["x-team"] for each in agent.headers] == ["blue"] * 2


def test_a_card_that_leads_to_another_host_is_not_followed_with_a_secret() -> None:
    with remote_agent(far.completes) as agent:
        other = agent.url.replace("127.0.0.1", "127.0.0.2")
        secret = json.dumps({"secret": "token-1"})
        with remote_agent(far.completes, card_url=other) as pointing:
            outcome = outcome_of(pointing, secret=secret)
            assert isinstance(outcome, Failed)
            assert outcome.permanent
            assert "127.0.0.2" in outcome.error
        assert agent.calls == {}


def test_an_agent_that_hangs_is_cancelled_at_its_timeout() -> None:
    with remote_agent(far.hangs) as agent:
        outcome = outcome_of(agent, timeout=0.5)
        assert isinstance(outcome, Failed)
        assert (outcome.reason, outcome.permanent) == ("timeout", False)
        assert agent.cancelled == agent.task_ids


@pytest.mark.parametrize("streaming", [True, False])
def test_cancelling_the_run_cancels_the_remote_task(db: Database, *, streaming: bool) -> None:
    memory, request = RemoteTasks(db), make_request()
    with remote_agent(far.hangs, streaming=streaming) as agent:

        async def cancelled() -> None:
            running = asyncio.ensure_future(run(agent.url, request=request, memory=memory))
            while await memory.recall(request.invocation_id) is None:
                await asyncio.sleep(0.02)
            running.cancel()
            await asyncio.sleep(0)
            running.cancel()  # whoever is impatient must not keep the agent from being told
            with pytest.raises(asyncio.CancelledError):
                await running

        asyncio.run(cancelled())
        assert agent.cancelled == agent.task_ids


def test_a_cancelled_run_does_not_wait_long_for_an_agent_that_does_not_listen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scheduler.runtimes.a2a.CANCEL_SECONDS", 0.1)
    with remote_agent(far.hangs) as agent:
        agent.slow = {"CancelTask"}
        outcome = outcome_of(agent, timeout=0.3)
        assert isinstance(outcome, Failed)
        assert outcome.reason == "timeout"


def test_a_retry_follows_the_task_of_a_lost_worker(db: Database) -> None:
    """Not a second message, although the first try ended without a word to the agent."""
    memory, request = RemoteTasks(db), make_request()
    with remote_agent(far.waits) as agent:

        async def lost_and_found() -> Outcome:
            first = asyncio.ensure_future(run(agent.url, request=request, memory=memory))
            while await memory.recall(request.invocation_id) is None:
                await asyncio.sleep(0.02)
            agent.refuse = lambda name: Response(status_code=500) if name == "CancelTask" else None
            first.cancel()
            await asyncio.wait([first])
            agent.go_on.set()
            return await run(agent.url, request=request, memory=memory)

        assert asyncio.run(lost_and_found()) == Replied("At last.")
        assert len(agent.received) == 1
        assert agent.calls["GetTask"] > 0


@pytest.mark.parametrize("forgotten", [True, False])
def test_a_task_that_failed_or_is_forgotten_is_sent_anew(db: Database, *, forgotten: bool) -> None:
    memory, request = RemoteTasks(db), make_request()
    with remote_agent(far.fails) as agent:
        assert isinstance(outcome_of(agent, request=request, memory=memory), Failed)
        known = asyncio.run(memory.recall(request.invocation_id))
        assert known == KnownTask(agent.url, agent.task_ids[0])
        if forgotten:
            asyncio.run(memory.remember(request.invocation_id, KnownTask(agent.url, "gone")))
        agent.behaviour = far.completes
        assert outcome_of(agent, request=request, memory=memory) == Replied("It is done.")
        assert len(set(agent.message_ids)) == 2


def test_a_stream_that_breaks_off_is_followed_by_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent stream too: it may be a dead connection."""
    monkeypatch.setattr("scheduler.runtimes.a2a_task.IDLE_SECONDS", 0.2)
    monkeypatch.setattr("scheduler.runtimes.a2a_task.FIRST_LOOK", 0.05)
    with remote_agent(far.waits) as agent:

        async def followed() -> Outcome:
            running = asyncio.ensure_future(run(agent.url))
            while agent.calls["GetTask"] < 2:
                await asyncio.sleep(0.02)
            agent.go_on.set()
            return await running

        assert asyncio.run(followed()) == Replied("At last.")


def test_looks_may_fail_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.runtimes.a2a_task.FIRST_LOOK", 0.01)
    with remote_agent(far.completes, streaming=False) as agent:
        agent.refuse = lambda name: (
            Response(status_code=502) if name == "GetTask" and agent.calls[name] < 5 else None
        )
        assert outcome_of(agent) == Replied("It is done.")


def test_looks_that_fail_for_good_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.runtimes.a2a_task.FIRST_LOOK", 0.01)
    with remote_agent(far.completes, streaming=False) as agent:
        agent.refuse = lambda name: Response(status_code=502) if name == "GetTask" else None
        assert outcome_of(agent) == Failed("The agent answered HTTP 502.")


@pytest.mark.parametrize("step", ["/.well-known/agent-card.json", "SendStreamingMessage"])
@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (lambda: Response(status_code=500), Failed("The agent answered HTTP 500.")),
        (
            lambda: Response(status_code=429, headers={"Retry-After": "17"}),
            Failed("The agent answered HTTP 429.", retry_after=17.0),
        ),
        (lambda: Response(status_code=401), Failed("The agent answered HTTP 401.", permanent=True)),
        (
            lambda: Response(status_code=307, headers={"Location": "http://127.0.0.1:9/"}),
            Failed("The agent answered HTTP 307.", permanent=True),
        ),
    ],
)
def test_what_may_pass_is_tried_again(step: str, refusal: Callable[[], Response], outcome: Outcome) -> None:
    with remote_agent(far.completes) as agent:
        agent.refuse = lambda name: refusal() if name == step else None
        assert outcome_of(agent) == outcome


@pytest.mark.parametrize(
    ("body", "permanent"),
    [
        ({"error": {"code": -32603, "message": "broken"}}, False),
        ({"error": {"code": -32006, "message": "broken"}}, False),
        ({"error": {"code": -32602, "message": "broken"}}, True),
        ({"error": {"code": -32601, "message": "broken"}}, True),
        ({"error": {"code": -32009, "message": "broken"}}, True),
        ({"error": "broken"}, False),
        ({"result": {}}, False),
        ([1], False),
    ],
)
def test_an_error_of_the_protocol_is_temporary_or_not(body: Any, *, permanent: bool) -> None:
    answer = {"jsonrpc": "2.0", "id": "1", **body} if isinstance(body, dict) else body
    with remote_agent(far.completes, streaming=False) as agent:
        agent.refuse = lambda name: (
            Response(json.dumps(answer), media_type="application/json") if name == "SendMessage" else None
        )
        outcome = outcome_of(agent)
        assert isinstance(outcome, Failed)
        assert outcome.permanent is permanent


def test_a_page_that_is_no_card_ends_the_invocation() -> None:
    with remote_agent(far.completes) as agent:
        agent.refuse = lambda name: PlainTextResponse("hello") if "card" in name else None
        outcome = outcome_of(agent)
        assert isinstance(outcome, Failed)
        assert outcome.permanent
        assert "card" in outcome.error


def test_a_card_without_a_binding_that_we_speak_ends_the_invocation() -> None:
    with remote_agent(far.completes, binding="GRPC") as agent:
        outcome = outcome_of(agent)
        assert outcome == Failed("The agent's card offers neither JSON-RPC nor HTTP+JSON.", permanent=True)


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.runtimes.a2a.MAX_ANSWER_BYTES", 100)
    with remote_agent(far.completes) as agent:
        outcome = outcome_of(agent)
        assert isinstance(outcome, Failed)
        assert outcome.permanent
        assert "larger than 100 bytes" in outcome.error


def test_an_agent_that_is_not_there_is_tried_again() -> None:
    with remote_agent(far.completes) as agent:
        url = agent.url
    outcome = asyncio.run(run(url))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "connection" in outcome.error


def test_a_private_address_that_the_operator_did_not_open_is_refused_for_good() -> None:
    with remote_agent(far.completes) as agent:
        outcome = outcome_of(agent, allow=AllowedPrivate())
        assert isinstance(outcome, Failed)
        assert outcome.permanent
        assert "REVEILLE_ALLOW_PRIVATE_HOSTS" in outcome.error
        assert agent.calls == {}


def test_a_card_that_leads_into_the_private_network_is_refused() -> None:
    with remote_agent(far.completes, card_url="http://169.254.169.254/") as agent:
        outcome = outcome_of(agent)
        assert isinstance(outcome, Failed)
        assert outcome.permanent
        assert "169.254.169.254" in outcome.error


def test_an_agent_without_an_address_is_a_configuration_error() -> None:
    async def made() -> None:
        async with make_parts() as parts:
            make_runtime(RuntimeSpec("a2a", {}, None, 10.0), parts)

    with pytest.raises(ConfigurationError):
        asyncio.run(made())
