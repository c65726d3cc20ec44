"""The `a2a` runtime with a real A2A server: what it sends, how it follows a task, and the outcome of each end."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.responses import Response

from scheduler.domain.run import Failed, Outcome, Replied
from scheduler.storage.engine import Database
from scheduler.storage.remote_tasks import KnownTask, RemoteTasks
from tests.support import a2a_agent as far
from tests.support.a2a_agent import remote_agent
from tests.support.a2a_runs import outcome_of, run
from tests.support.runs import make_request

HOW = {
    "streaming": {},
    "polling": {"streaming": False},
    "rest": {"rest": True},
    "version-0.3": {"version": "0.3"},
    "rest-0.3": {"rest": True, "version": "0.3"},
}


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
        (far.asks, Replied("The agent cannot continue by itself and asks:\nWhich disk?")),
        (far.fails, Failed("The agent's task failed: The disk is full.")),
        (far.rejects, Failed("The agent rejected the task: Not my job.", permanent=True)),
        (
            far.wants_credentials,
            Failed("The agent requires other credentials: Sign in first.", permanent=True),
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
            running.cancel()  # an impatient caller must not keep the agent from being told
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
    """Not a second message, although the first attempt ended without telling the agent."""
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
def test_a_task_that_failed_or_is_forgotten_is_sent_again(db: Database, *, forgotten: bool) -> None:
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


def test_checks_that_fail_permanently_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.runtimes.a2a_task.FIRST_LOOK", 0.01)
    with remote_agent(far.completes, streaming=False) as agent:
        agent.refuse = lambda name: Response(status_code=502) if name == "GetTask" else None
        assert outcome_of(agent) == Failed("The agent answered HTTP 502.")
