"""/mcp in the revision of 2026-07-28: envelopes, headers, results, and the package's own client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client
from mcp_types.version import LATEST_PROTOCOL_VERSION
from werkzeug.test import TestResponse

from api.mcp_modern import CAPABILITIES_KEY, MODERN_VERSIONS, VERSION_KEY
from tests.integration.mcp.test_client import drive
from tests.support.api import Api, Caller, served

META = {VERSION_KEY: "2026-07-28", CAPABILITIES_KEY: {}}


@pytest.fixture
def own(api: Api) -> Caller:
    """Returns an agent's own key."""
    return api.with_key(f"agent:{api.agent('ada')['id']}")


def ask(own: Caller, method: str, headers: dict[str, str] | None = None, **params: Any) -> TestResponse:
    """Sends one request with an envelope and the matching headers."""
    body = {"jsonrpc": "2.0", "id": "x", "method": method, "params": {"_meta": META, **params}}
    sent = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
    }
    sent |= {"Mcp-Name": params["name"]} if "name" in params else {}
    sent |= headers or {}
    given = {name: value for name, value in sent.items() if value}
    return own.call("POST", "//mcp", data=json.dumps(body), content_type="application/json", headers=given)


def result(response: TestResponse) -> Any:
    """Returns the result of a 200, which says that it is complete, and whose it is."""
    assert response.status_code == 200, response.text
    assert response.json is not None
    found = response.json["result"]
    assert found["resultType"] == "complete"
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "reveille"
    return found


def test_the_newest_revision_of_the_package_is_spoken() -> None:
    assert MODERN_VERSIONS[0] == LATEST_PROTOCOL_VERSION


def test_discover_list_and_call(own: Caller) -> None:
    found = result(ask(own, "server/discover"))
    assert found["supportedVersions"] == ["2026-07-28"]
    assert "tools" in found["capabilities"] and (found["cacheScope"], found["ttlMs"]) == ("private", 60_000)
    listed = result(ask(own, "tools/list"))
    assert "set_trigger" in {tool["name"] for tool in listed["tools"]}
    agents = result(ask(own, "tools/call", name="list_agents", arguments={}))["structuredContent"]["agents"]
    assert [(each["name"], each["is_you"]) for each in agents] == [("ada", True)]


@pytest.mark.parametrize(
    ("method", "headers", "meta", "status", "code"),
    [
        ("tools/list", {"MCP-Protocol-Version": ""}, META, 400, -32020),
        ("tools/list", {"MCP-Protocol-Version": "2025-11-25"}, META, 400, -32020),
        ("tools/list", {"Mcp-Method": "tools/call"}, META, 400, -32020),
        ("tools/call", {"Mcp-Name": "list_agents"}, META, 400, -32020),
        ("tools/call", {"Mcp-Name": "=?base64?!?="}, META, 400, -32020),
        ("tools/list", {}, {}, 400, -32602),
        ("tools/list", {}, None, 400, -32602),
        ("initialize", {}, META, 404, -32601),
        ("resources/list", {}, META, 404, -32601),
    ],
)
def test_requests_that_contradict_themselves_are_refused(
    own: Caller, method: str, headers: dict[str, str], meta: Any, status: int, code: int
) -> None:
    params: dict[str, Any] = {"name": "list_triggers"} if method == "tools/call" else {}
    response = ask(own, method, headers, **params, **({} if meta is META else {"_meta": meta}))
    assert response.status_code == status
    assert response.json is not None
    assert (response.json["id"], response.json["error"]["code"]) == ("x", code)


def test_a_name_may_be_sent_as_base64(own: Caller) -> None:
    headers = {"Mcp-Name": "=?base64?bGlzdF9hZ2VudHM=?="}
    assert result(ask(own, "tools/call", headers, name="list_agents"))["isError"] is False


def test_the_package_s_client_speaks_it_and_every_tool_is_described(api: Api) -> None:
    """Each parameter, what it returns, and whether it changes anything."""
    key = api.with_key(f"agent:{api.agent('ada', role_description='Keeps the books.')['id']}").key
    assert key is not None

    async def work(client: Client) -> Any:
        listed = await client.list_tools()
        called = await client.call_tool("list_agents", {"name_contains": "BOOKS"})
        return listed.tools, called.structured_content

    with served(api) as url:
        tools, called = drive(url, key, work)
    assert called["agents"][0]["role"] == "Keeps the books."
    for tool in tools:
        assert tool.output_schema and tool.annotations is not None, tool.name
        lacking = [name for name, each in tool.input_schema["properties"].items() if "description" not in each]
        assert not lacking, (tool.name, lacking)
    hints = {tool.name: tool.annotations for tool in tools}
    assert hints["list_triggers"].read_only_hint is True
    assert (hints["set_trigger"].read_only_hint, hints["set_trigger"].destructive_hint) == (False, False)
    assert hints["cancel_trigger"].destructive_hint is True
