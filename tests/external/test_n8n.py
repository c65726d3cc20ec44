"""The preset `n8n` with n8n itself, and a workflow that begins with a Webhook node."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Accepted, Failed, Outcome, Replied, RuntimeSpec
from scheduler.runtimes.http import HttpRuntime
from scheduler.runtimes.registry import make_runtime
from tests.external.products import PATIENCE, free_port, installed, started, with_node
from tests.support.runs import make_parts, make_request

N8N = installed("n8n/node_modules/.bin/n8n")
TOKEN = "of-the-webhook"  # of a server for this test
SAYS = "'n8n saw ' + $json.body.firings.length + ' of ' + $json.body.agent.name"
REPLY = f"={{{{ {{reply: {SAYS}, usage: {{input_tokens: 3}} }} }}}}"


def workflow(name: str, *, respond: str, code: int = 200, then: dict[str, Any]) -> dict[str, Any]:
    """A workflow of a Webhook node and one that builds the answer."""
    webhook = {
        "httpMethod": "POST",
        "path": name,
        "responseMode": respond,
        "authentication": "headerAuth",
        "options": {"responseCode": {"values": {"responseCode": code}}},
    }
    nodes = [
        {
            "id": "a",
            "name": "Webhook",
            "type": "n8n-nodes-base.webhook",
            "typeVersion": 2,
            "position": [0, 0],
            "webhookId": name,
            "parameters": webhook,
            "credentials": {"httpHeaderAuth": {"id": "token", "name": "token"}},
        },
        {"id": "b", "name": "Then", "position": [200, 0], **then},
    ]
    link = {"Webhook": {"main": [[{"node": "Then", "type": "main", "index": 0}]]}}
    settings = {"executionOrder": "v1"}
    return {"id": name, "name": name, "active": True, "settings": settings, "connections": link, "nodes": nodes}


SAY = {
    "type": "n8n-nodes-base.set",
    "typeVersion": 3.4,
    "parameters": {"mode": "raw", "jsonOutput": REPLY, "options": {}},
}
STOP = {
    "type": "n8n-nodes-base.stopAndError",
    "typeVersion": 1,
    "parameters": {"errorMessage": "it was asked to"},
}
WORKFLOWS = [
    workflow("says", respond="lastNode", then=SAY),
    workflow("stops", respond="lastNode", then=STOP),
    workflow("later", respond="onReceived", code=202, then=SAY),
]
CREDENTIAL = {"id": "token", "name": "token", "type": "httpHeaderAuth"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("n8n")
    env = with_node() | {
        "HOME": str(folder),
        "N8N_USER_FOLDER": str(folder),
        "N8N_PORT": str(port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_ENCRYPTION_KEY": "of this test",
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    }
    secret = {"data": {"name": "Authorization", "value": f"Bearer {TOKEN}"}}
    (folder / "credentials.json").write_text(json.dumps([CREDENTIAL | secret]))
    (folder / "workflows.json").write_text(json.dumps(WORKFLOWS))
    for arguments in (
        ["import:credentials", f"--input={folder}/credentials.json"],
        ["import:workflow", f"--input={folder}/workflows.json"],
        *(["publish:workflow", f"--id={each['id']}"] for each in WORKFLOWS),
    ):
        subprocess.run([N8N, *arguments], env=env, cwd=folder, check=True, capture_output=True, timeout=300)
    address = f"http://127.0.0.1:{port}"
    with started([N8N, "start"], f"{address}/healthz/readiness", folder / "log", env=env, cwd=folder):
        _wait_for_workflows(folder / "log", address)
        yield address


def _wait_for_workflows(log: Path, address: str) -> None:
    """Waits until the webhooks exist: n8n answers before they do."""
    deadline = time.monotonic() + PATIENCE
    while isinstance(outcome := run(address, "says"), Failed) and "404" in outcome.error:
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(1)


def run(url: str, path: str, token: str = TOKEN) -> Outcome:
    async def call() -> Outcome:
        async with make_parts() as parts:
            spec = RuntimeSpec(
                "http", {"preset": "n8n", "url": f"{url}/webhook/{path}"}, HttpRuntime.pack({"token": token}), 60
            )
            return await make_runtime(spec, parts).run(make_request())

    return asyncio.run(call())


def test_the_last_node_gives_the_reply(url: str) -> None:
    assert run(url, "says") == Replied("n8n saw 1 of ada", spent=ResponseUsage(3, 0, Decimal(0)))


def test_a_202_awaits_a_report(url: str) -> None:
    assert run(url, "later") == Accepted()


def test_a_workflow_that_stops_is_a_failed_attempt_and_a_wrong_token_a_permanent_failure(url: str) -> None:
    stopped = run(url, "stops")
    assert isinstance(stopped, Failed)
    assert not stopped.permanent
    refused = run(url, "says", token="wrong")  # it is one
    assert isinstance(refused, Failed)
    assert refused.permanent
