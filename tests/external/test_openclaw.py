"""The presets `openclaw` and `openai-responses` with OpenClaw's own gateway, which uses a stand-in model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest, RuntimeSpec
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.registry import make_runtime
from tests.external.products import free_port, installed, started, with_node
from tests.external.stand_in_model import FAIL, SAID, stand_in_model
from tests.support.runs import make_parts, make_request

GATEWAY = installed("openclaw/node_modules/.bin/openclaw")
HOOK_TOKEN, TOKEN = "token-of-the-hooks", "token-of-the-gateway"  # of a server for this test


def config_of(port: int, model: str, folder: Path) -> dict[str, Any]:
    sizes = {"contextWindow": 200_000, "maxTokens": 8192}
    cost = {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}
    one = {"id": "one", "name": "one", "reasoning": False, "input": ["text"], "cost": cost, **sizes}
    provider = {"baseUrl": model, "apiKey": "none", "api": "openai-completions", "models": [one]}
    return {
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "port": port,
            "auth": {"mode": "token", "token": TOKEN},
            "http": {"endpoints": {"responses": {"enabled": True}}},
        },
        "hooks": {"enabled": True, "token": HOOK_TOKEN, "path": "/hooks", "allowedAgentIds": ["main"]},
        "agents": {"defaults": {"workspace": str(folder / "workspace"), "model": {"primary": "stand-in/one"}}},
        "models": {"mode": "merge", "providers": {"stand-in": provider}},
    }


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("openclaw")
    address, path = f"http://127.0.0.1:{port}", folder / "openclaw.json"
    env = with_node() | {
        "HOME": str(folder),
        "OPENCLAW_STATE_DIR": str(folder),
        "OPENCLAW_CONFIG_PATH": str(path),
    }
    with stand_in_model() as model:
        path.write_text(json.dumps(config_of(port, model, folder)))
        with started([GATEWAY, "gateway"], f"{address}/healthz", folder / "log", env=env, cwd=folder):
            yield address


def run(url: str, preset: str, token: str, request: RunRequest | None = None, **settings: Any) -> Outcome:
    async def call() -> Outcome:
        async with make_parts() as parts:
            secret = HttpRuntime.pack({"token": token})
            spec = RuntimeSpec("http", {"preset": preset, "url": url, **settings}, secret, 90)
            return await make_runtime(spec, parts).run(request or make_request())

    for _ in range(8):
        outcome = asyncio.run(call())
        if not (isinstance(outcome, Failed) and "HTTP 503" in outcome.error):
            break  # otherwise it is still loading: a run that does not begin within 15 s is refused, and retried
    return outcome


def test_a_hook_wakes_the_agent_and_is_over_when_the_agent_is(url: str) -> None:
    request = make_request()
    assert run(url, "openclaw", HOOK_TOKEN, request) == Replied("ok")
    assert run(url, "openclaw", HOOK_TOKEN, request) == Replied("ok"), "the same run, by the idempotency key"


def test_a_refused_request_is_a_permanent_failure(url: str) -> None:
    for token, parameters in (("wrong", {}), (HOOK_TOKEN, {"agent_id": "nobody"})):
        outcome = run(url, "openclaw", token, parameters=parameters)
        assert isinstance(outcome, Failed)
        assert outcome.permanent


def test_a_run_that_fails_is_a_failed_attempt(url: str) -> None:
    outcome = run(url, "openclaw", HOOK_TOKEN, make_request(context=FAIL))
    assert outcome == Failed("The agent answered that it failed: error")


def test_the_responses_api_gives_the_reply_and_what_it_took(url: str) -> None:
    outcome = run(url, "openai-responses", TOKEN, parameters={"model": "openclaw/main"})
    assert outcome == Replied(SAID, spent=ResponseUsage(11, 7, Decimal(0)))
