"""The preset `langgraph` with LangGraph's own in-memory server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import CancelsRuns, Failed, Outcome, Replied, RunAgent, RunRequest, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from scheduler.storage.engine import Database
from scheduler.storage.remote_tasks import RemoteTasks
from tests.external.products import free_port, installed, started
from tests.support.runs import make_parts, make_request

SERVER = installed("langgraph/bin/langgraph")
APP = Path(__file__).with_name("langgraph_app")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, folder = free_port(), tmp_path_factory.mktemp("langgraph")
    for each in APP.glob("*.*"):
        (folder / each.name).write_bytes(each.read_bytes())
    options = ("--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port))
    env = {"PATH": f"{SERVER.parent}:/usr/bin:/bin", "LANGSMITH_TRACING": "false", "HOME": str(folder)}
    address = f"http://127.0.0.1:{port}"
    with started([SERVER, "dev", *options], f"{address}/ok", folder / "log", env=env, cwd=folder):
        yield address


def run(url: str, request: RunRequest, timeout: float = 60, memory: Any = None, **settings: Any) -> Outcome:
    async def call() -> Outcome:
        async with make_parts(remote_tasks=memory) as parts:
            spec = RuntimeSpec("http", {"preset": "langgraph", "url": url, **settings}, None, timeout)
            return await make_runtime(spec, parts).run(request)

    return asyncio.run(call())


def test_an_agent_keeps_its_conversation(url: str) -> None:
    ada = RunAgent(id=new_id(), name="ada")
    first = run(url, make_request(context="hi", agent=ada))
    assert first == Replied("message 1: hi", spent=ResponseUsage(2, 3, Decimal(0)))
    second = run(url, make_request(context="hello", agent=ada))
    assert second == Replied("message 3: hello", spent=ResponseUsage(5, 3, Decimal(0)))
    alone = run(url, make_request(context="hi", agent=ada), path="/runs/wait")
    assert isinstance(alone, Replied)
    assert alone.text == "message 1: hi"


def test_a_graph_that_fails_is_a_failed_attempt(url: str) -> None:
    outcome = run(url, make_request(context="please fail"))
    assert outcome == Failed("The agent answered that it failed: it was asked to fail")
    unknown = run(url, make_request(), parameters={"assistant_id": "nobody"})
    assert isinstance(unknown, Failed)
    assert unknown.permanent


def test_a_run_is_resumed_not_started_again(url: str, db: Database) -> None:
    request, memory = make_request(context="please wait"), RemoteTasks(db)
    late = run(url, request, 2, memory)
    assert isinstance(late, Failed)
    assert (late.reason, late.error[:35]) == ("timeout", "The run was not over within 2 s; it")
    outcome = run(url, request, 60, memory)
    assert isinstance(outcome, Replied)
    assert outcome.text == "message 1: please wait", "one message: the run was not begun twice"


def test_a_cancelled_run_is_cancelled_there(url: str, db: Database) -> None:
    request, memory = make_request(context="please wait"), RemoteTasks(db)
    run(url, request, 2, memory)

    async def cancel() -> str:
        known = await memory.recall(request.invocation_id)
        assert known is not None
        assert known.cancel_url is not None
        async with make_parts(remote_tasks=memory) as parts:
            runtime = make_runtime(RuntimeSpec("http", {"preset": "langgraph", "url": url}, None, 30), parts)
            assert isinstance(runtime, CancelsRuns)
            await runtime.cancel(request, known.cancel_url)
            await runtime.cancel(request, known.cancel_url)  # once more is nothing
        for _ in range(60):
            status = str(httpx.get(known.task_id).json()["status"])
            if status not in ("pending", "running"):
                break
            await asyncio.sleep(0.25)
        return status

    assert asyncio.run(cancel()) == "interrupted"
