"""The preset `flowise` against Flowise itself, with a flow that replies what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scheduler.domain.run import Failed, Outcome, Replied, RunRequest, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from tests.external.products import free_port, installed, started, with_node
from tests.support.runs import make_parts, make_request

FLOWISE = installed("flowise/node_modules/.bin/flowise")
PERSON = {"email": "ada@example.org", "credential": "Of-a-server-4-this-test"}


def node(name: str, **inputs: Any) -> dict[str, Any]:
    params = [{"name": each, "label": each, "type": "string", "acceptVariable": True} for each in inputs]
    data = {"id": f"{name}_0", "name": name, "label": name, "type": name, "inputs": inputs, "inputParams": params}
    return {"id": f"{name}_0", "type": "agentFlow", "data": data | {"inputAnchors": [], "outputs": {}}}


def flow() -> str:
    ends = [node("startAgentflow", startInputType="chatInput")]
    ends.append(node("directReplyAgentflow", directReplyMessage="It was asked: {{question}}"))
    source, target = (each["id"] for each in ends)
    edge = {"id": "e", "source": source, "target": target, "sourceHandle": source, "targetHandle": target}
    return json.dumps({"nodes": ends, "edges": [edge]})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a server, and the id of its flow."""
    port, folder = free_port(), tmp_path_factory.mktemp("flowise")
    places = ("DATABASE_PATH", "SECRETKEY_PATH", "LOG_PATH", "BLOB_STORAGE_PATH", "HOME")
    env = with_node() | dict.fromkeys(places, str(folder))
    env |= {"PORT": str(port), "HOST": "127.0.0.1", "DISABLE_FLOWISE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    with started([FLOWISE, "start"], f"{address}/api/v1/ping", folder / "log", env=env, cwd=folder):
        headers = {"x-request-from": "internal"}
        with httpx.Client(base_url=f"{address}/api/v1", headers=headers, timeout=60) as page:
            page.post("/account/register", json={"user": {"name": "Ada", **PERSON}}).raise_for_status()
            login = {"email": PERSON["email"], "password": PERSON["credential"]}
            page.post("/auth/login", json=login).raise_for_status()
            given = {"name": "asked", "flowData": flow(), "type": "AGENTFLOW"}
            yield address, page.post("/chatflows", json=given).raise_for_status().json()["id"]


def run(url: str, chatflow_id: str, request: RunRequest) -> Outcome:
    async def call() -> Outcome:
        async with make_parts() as parts:
            config = {"preset": "flowise", "url": url, "parameters": {"chatflow_id": chatflow_id}}
            return await make_runtime(RuntimeSpec("http", config, None, 60), parts).run(request)

    return asyncio.run(call())


def test_a_flow_replies_to_the_context(made: tuple[str, str]) -> None:
    url, chatflow_id = made
    outcome = run(url, chatflow_id, make_request(context="is it on?"))
    assert outcome == Replied("It was asked: is it on?")


def test_an_unknown_flow_is_a_permanent_failure(made: tuple[str, str]) -> None:
    outcome = run(made[0], "00000000-0000-4000-8000-000000000000", make_request())
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert "not found" in outcome.error
