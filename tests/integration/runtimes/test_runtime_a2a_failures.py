"""The `a2a` runtime with agents that refuse, break or do not exist: whether another attempt can help."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response

from scheduler.domain.errors import ConfigurationError
from scheduler.domain.run import Failed, Outcome, RuntimeSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.runtimes.registry import make_runtime
from tests.support import a2a_agent as far
from tests.support.a2a_agent import remote_agent
from tests.support.a2a_runs import outcome_of, run
from tests.support.runs import make_parts


@pytest.mark.parametrize("step", ["/.well-known/agent-card.json", "SendStreamingMessage"])
@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (lambda: Response(status_code=500), Failed("The agent answered HTTP 500.")),
        (
            lambda: Response(status_code=429, headers={"Retry-After": "17"}),
            Failed("The agent answered HTTP 429.", retry_after=17.0, was_put_off=True),
        ),
        (lambda: Response(status_code=401), Failed("The agent answered HTTP 401.", permanent=True)),
        (
            lambda: Response(status_code=307, headers={"Location": "http://127.0.0.1:9/"}),
            Failed("The agent answered HTTP 307.", permanent=True),
        ),
    ],
)
def test_temporary_failures_are_retried(step: str, refusal: Callable[[], Response], outcome: Outcome) -> None:
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


def test_an_agent_that_is_not_there_is_retried() -> None:
    with remote_agent(far.completes) as agent:
        url = agent.url
    outcome = asyncio.run(run(url))
    assert isinstance(outcome, Failed)
    assert not outcome.permanent
    assert "connection" in outcome.error


def test_a_private_address_that_the_operator_did_not_open_is_a_permanent_failure() -> None:
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
