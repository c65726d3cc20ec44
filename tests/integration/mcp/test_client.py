"""The `mcp` package's own client, over streamable HTTP, against the application behind a real HTTP server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from tests.support.api import Api, served
from tests.support.web import running_web

Work = Callable[[Client], Awaitable[Any]]


def drive(url: str, key: str, work: Work, **options: Any) -> Any:
    """Runs `work` with a connected client and returns its result."""

    async def run() -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{url}/mcp", http_client=http)
            async with Client(transport, **options) as client:
                return await work(client)

    return asyncio.run(run())


async def call(client: Client, tool: str, /, **arguments: Any) -> Any:
    """Returns a tool's structured result, which its text repeats."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(text_of(result)) == result.structured_content
    return result.structured_content


async def refused(client: Client, tool: str, /, **arguments: Any) -> str:
    """Returns a tool's message for a refused call."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return text_of(result)


def text_of(result: CallToolResult) -> str:
    """Returns the only text of a result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_connects_lists_the_tools_and_calls_one(api: Api, mode: str) -> None:
    key = api.with_key(f"agent:{api.agent('ada')['id']}").key

    async def work(client: Client) -> None:
        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
        assert client.server_info is not None and client.server_info.name == "reveille"
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"set_trigger", "get_firing", "wake_agent"} <= set(tools)
        assert tools["set_trigger"].input_schema["required"] == ["name", "type", "reason"]
        assert (await call(client, "list_triggers")) == {"triggers": [], "more": False}

    with served(api) as url:
        drive(url, str(key), work, mode=mode)


def test_an_agent_elsewhere_sets_its_alarm_clock_and_reads_what_woke_it(api: Api) -> None:
    agent = api.agent("ada")
    key = api.with_key(f"agent:{agent['id']}").key
    hooks: list[str] = []

    async def make(client: Client) -> None:
        made = await call(client, "set_trigger", name="hook", type="webhook", reason="Read it.")
        hooks.append(made["hook_url"])
        assert "at most 100" in await refused(
            client, "set_trigger", name="x", type="webhook", reason="x", max_fires=999
        )
        assert "Its arguments are" in await refused(client, "set_trigger", nam="x")

    async def read(client: Client) -> None:
        invocations = (await call(client, "list_invocations"))["invocations"]
        assert [each["state"] for each in invocations] == ["collecting"]
        firing = await call(client, "get_firing", firing_id=firing_id)
        assert firing["payload"] == "x" * 60_000
        assert "no firing" in await refused(client, "get_firing", firing_id=agent["id"])

    with served(api) as url:
        drive(url, str(key), make)
        answer = httpx2.post(hooks[0], content="x" * 60_000)
        assert hooks[0].startswith(url) and answer.status_code == 202
        firing_id = answer.json()["firing_id"]
        drive(url, str(key), read)
    (trigger,) = api.get("/triggers")["items"]
    assert trigger["created_by"] == f"agent:{agent['id']}"


def test_the_web_process_serves_it_as_in_production(api: Api, database_url: str) -> None:
    """gunicorn with our configuration, in a separate process."""
    key = api.with_key(f"agent:{api.agent('ada')['id']}").key

    async def work(client: Client) -> None:
        for number in range(3):
            await call(client, "set_trigger", name=f"hook {number}", type="webhook", reason="Read it.")
        names = [each["name"] for each in (await call(client, "list_triggers"))["triggers"]]
        assert names == [f"hook {number}" for number in (2, 1, 0)]

    with running_web(database_url) as web:
        drive(web.url, str(key), work)


def test_each_key_has_its_own_agents_things_only(api: Api) -> None:
    ada, bob = api.agent("ada"), api.agent("bob")
    api.trigger(ada["id"], "adas")

    async def work(client: Client) -> None:
        assert (await call(client, "list_triggers"))["triggers"] == []
        assert "You have no trigger 'adas'" in await refused(client, "cancel_trigger", trigger="adas")

    with served(api) as url:
        drive(url, str(api.with_key(f"agent:{bob['id']}").key), work)
    assert [each["name"] for each in api.get("/triggers")["items"]] == ["adas"]
