"""The examples in docs/a2a.md and docs/mcp-servers.md work."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from api.a2a_messages import STATES
from config.settings import load_settings
from scheduler.domain.run import Replied
from scheduler.runtimes import a2a, a2a_task, mcp_session, mcp_tools
from tests.support.api import Api, agent_body, served
from tests.support.invocations import close, end, start

DOCS = Path(__file__).parents[3] / "docs"
A2A = (DOCS / "a2a.md").read_text(encoding="utf-8")
SERVERS = (DOCS / "mcp-servers.md").read_text(encoding="utf-8")


def test_the_example_client_asks_an_agent_and_prints_its_reply(api: Api) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", A2A, re.M | re.S)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, "docs/a2a.md", "exec"), names)  # noqa: S102  # it is our own example
    agent_id = api.agent(dedup_delay_seconds=0)["id"]

    async def asked(base: str) -> str:
        asking = asyncio.ensure_future(names["ask"](f"{base}/a2a/{agent_id}", api.key, "How are you?"))
        while not (ready := (await asyncio.to_thread(close, api.db)).ready):
            await asyncio.sleep(0.05)
        claimed = await asyncio.to_thread(start, api.db, ready[0])
        await asyncio.to_thread(end, api.db, claimed, Replied("Well, thank you."))
        reply: str = await asking
        return reply

    with served(api) as base:
        assert asyncio.run(asked(base)) == "Well, thank you."
    [firing] = api.get("/firings")["items"]
    assert api.get(f"/firings/{firing['id']}")["data"]["messages"][0]["text"] == "How are you?"


def test_every_state_is_told_as_the_task_that_it_is() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `([\w-]+)`", A2A.split("The task's id")[1], re.M)
    told = {state: task for states, task in rows for state in re.findall(r"\w+", states)}
    assert told == {state.value: task_name(task) for state, task in STATES.items()}


def task_name(state: int) -> str:
    from a2a.types import TaskState

    name: str = TaskState.Name(state)
    return name.removeprefix("TASK_STATE_").lower().replace("_", "-")


def test_the_runtimes_that_are_shown_are_accepted(api: Api) -> None:
    [runtime] = re.findall(r"^```json\n(.*?)^```", A2A, re.M | re.S)
    assert (
        api.post("/agents", agent_body("far", runtime=json.loads(runtime.replace("…", "token"))))["runtime"][
            "kind"
        ]
        == "a2a"
    )


def test_the_numbers_that_are_told_are_those_of_the_code() -> None:
    assert (a2a_task.FIRST_LOOK, a2a_task.LONGEST_LOOK, a2a_task.IDLE_SECONDS) == (1, 10, 60)
    assert a2a.CANCEL_SECONDS == 3
    timing = mcp_tools.Timing()
    assert (timing.connect, timing.call, mcp_session.MAX_TOOLS) == (30, 120, 100)


def test_the_setting_that_is_shown_is_read() -> None:
    [value] = re.findall(r"REVEILLE_MCP_COMMANDS='(.*)'", SERVERS)
    settings = load_settings({"REVEILLE_MCP_COMMANDS": value})
    assert settings.mcp_commands["clock"][0] == "/usr/bin/env"
