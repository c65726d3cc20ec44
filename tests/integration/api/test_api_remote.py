"""`a2a` agents, and the MCP servers of agents, through the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from scheduler.storage.tables.core import Agent
from tests.support.api import Api, running_api

URL = "https://far.example.org"
COMMANDS = {"clock": ["/usr/bin/clock"]}
MCP = {"name": "files", "url": "https://tools.example.org/mcp", "headers": {"X-Key": "k1"}}


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with running_api(database_url, mcp_commands=COMMANDS) as running:
        yield running


def a2a(**fields: Any) -> dict[str, Any]:
    return {"kind": "a2a", "url": URL, **fields}


def stored(api: Api, agent_id: str, column: str) -> Any:
    """Returns the decrypted secrets of an agent."""
    with api.db.begin() as conn:
        sealed = conn.execute(select(getattr(Agent, column)).where(Agent.id == agent_id)).scalar_one()
    return None if sealed is None else json.loads(api.services.box.decrypt(sealed))


def test_an_a2a_agent_keeps_its_secret_and_its_headers_to_itself(api: Api) -> None:
    agent = api.agent(runtime=a2a(secret="token-1", headers={"X-Team": "blue"}))
    assert agent["runtime"] == {"kind": "a2a", "url": URL}
    assert stored(api, agent["id"], "runtime_secret") == {"secret": "token-1", "headers": {"X-Team": "blue"}}
    assert api.get(f"/agents/{agent['id']}")["runtime"] == {"kind": "a2a", "url": URL}


def test_a_patch_changes_what_it_names(api: Api) -> None:
    agent_id = api.agent(runtime=a2a(secret="token-1", headers={"X-Team": "blue"}))["id"]
    api.patch(f"/agents/{agent_id}", {"runtime": {"secret": "token-2"}})
    assert stored(api, agent_id, "runtime_secret") == {"secret": "token-2", "headers": {"X-Team": "blue"}}
    api.patch(f"/agents/{agent_id}", {"runtime": {"url": f"{URL}/other"}})
    assert stored(api, agent_id, "runtime_secret") == {"secret": "token-2", "headers": {"X-Team": "blue"}}
    api.patch(f"/agents/{agent_id}", {"runtime": {"headers": None}})
    assert stored(api, agent_id, "runtime_secret") == {"secret": "token-2", "headers": {}}
    api.patch(f"/agents/{agent_id}", {"runtime": {"secret": None}})
    assert stored(api, agent_id, "runtime_secret") is None


@pytest.mark.parametrize(
    ("patch", "kept"),
    [
        ({"x-team": "red"}, {"x-team": "red", "X-Other": "1"}),
        ({"X-TEAM": None}, {"X-Other": "1"}),
        ({"X-New": "2"}, {"X-Team": "blue", "X-Other": "1", "X-New": "2"}),
        ({}, {"X-Team": "blue", "X-Other": "1"}),
    ],
)
def test_the_names_of_headers_ignore_case_and_are_shown(
    api: Api, patch: dict[str, Any], kept: dict[str, str]
) -> None:
    headers = {"X-Team": "blue", "X-Other": "1"}
    agent = api.agent(runtime=a2a(headers=headers), mcp_servers=[MCP | {"headers": headers}])
    names = ["X-Other", "X-Team"]
    assert agent["header_names"] == {"runtime": names, "mcp_servers.files": names}
    path = f"/agents/{agent['id']}"
    changed = api.patch(path, {"runtime": {"headers": patch}})
    assert stored(api, agent["id"], "runtime_secret")["headers"] == kept
    assert changed["header_names"]["runtime"] == sorted(kept)
    if patch:
        changed = api.patch(path, {"mcp_servers": [MCP | {"headers": patch}]})
        assert stored(api, agent["id"], "mcp_secrets") == {"files": kept}
        assert api.get(path)["header_names"]["mcp_servers.files"] == sorted(kept)
    assert "blue" not in str(api.get(path))


def test_headers_that_stay_do_not_move_to_another_host(api: Api) -> None:
    agent_id = api.agent(runtime=a2a(headers={"X-Team": "blue"}))["id"]
    moved = {"runtime": {"url": "https://elsewhere.example.org", "headers": {"X-New": "1"}}}
    assert api.refused(422, "PATCH", f"/agents/{agent_id}", moved)["field"] == "runtime.url"
    api.patch(f"/agents/{agent_id}", {"runtime": {**moved["runtime"], "headers": {"x-team": None, "X-New": "1"}}})
    assert stored(api, agent_id, "runtime_secret")["headers"] == {"X-New": "1"}


def test_a_header_that_is_there_twice_is_refused(api: Api) -> None:
    twice = {"X-Team": "blue", "x-team": "red"}
    problem = api.refused(422, "POST", "/agents", {"name": "ada", "runtime": a2a(headers=twice)})
    assert problem["field"] == "runtime.headers"


def test_a_secret_does_not_move_to_another_host(api: Api) -> None:
    agent_id = api.agent(runtime=a2a(secret="token-1"))["id"]
    moved = {"runtime": {"url": "https://elsewhere.example.org"}}
    assert api.refused(422, "PATCH", f"/agents/{agent_id}", moved)["field"] == "runtime.url"
    for secret in ("token-2", None):
        moved["runtime"]["secret"] = secret  # type: ignore[assignment]
        api.patch(f"/agents/{agent_id}", moved)


def test_another_kind_of_runtime_takes_no_secret_along(api: Api) -> None:
    agent_id = api.agent(runtime=a2a(secret="token-1"))["id"]
    api.patch(f"/agents/{agent_id}", {"runtime": {"kind": "command", "name": "echo"}})
    api.patch(f"/agents/{agent_id}", {"runtime": a2a()})
    assert stored(api, agent_id, "runtime_secret") is None


@pytest.mark.parametrize(
    ("runtime", "field"),
    [
        ({"kind": "a2a"}, "runtime.url"),
        (a2a(url="http://10.0.0.1/"), "runtime.url"),
        (a2a(url="ftp://far.example.org"), "runtime.url"),
        (a2a(secret="two\nlines"), "runtime.secret"),
        (a2a(headers={"Host": "x"}), "runtime.headers"),
        (a2a(headers={"X": "two\nlines"}), "runtime.headers"),
        (a2a(name="x"), "runtime.name"),
    ],
)
def test_a_bad_a2a_runtime_is_refused(api: Api, runtime: dict[str, Any], field: str) -> None:
    problem = api.refused(422, "POST", "/agents", {"name": "ada", "runtime": runtime})
    assert problem["field"] == field


def test_mcp_servers_are_shown_without_their_headers(api: Api) -> None:
    servers = [MCP, {"name": "clock", "command": "clock"}]
    agent = api.agent(mcp_servers=servers)
    shown = [
        {"name": "files", "url": MCP["url"], "command": None},
        {"name": "clock", "url": None, "command": "clock"},
    ]
    assert agent["mcp_servers"] == shown
    assert api.get(f"/agents/{agent['id']}")["mcp_servers"] == shown
    assert stored(api, agent["id"], "mcp_secrets") == {"files": {"X-Key": "k1"}}


def test_headers_stay_with_their_server_until_it_moves(api: Api) -> None:
    agent_id = api.agent(mcp_servers=[MCP])["id"]
    path, bare = f"/agents/{agent_id}", {name: MCP[name] for name in ("name", "url")}
    api.patch(path, {"role_description": "changed"})
    api.patch(path, {"mcp_servers": [bare]})
    assert stored(api, agent_id, "mcp_secrets") == {"files": {"X-Key": "k1"}}
    api.patch(path, {"mcp_servers": [bare | {"url": "https://other.example.org/mcp"}]})
    assert stored(api, agent_id, "mcp_secrets") is None
    api.patch(path, {"mcp_servers": [MCP]})
    api.patch(path, {"mcp_servers": [bare | {"headers": {}}]})
    assert stored(api, agent_id, "mcp_secrets") is None
    api.patch(path, {"mcp_servers": []})
    assert api.get(path)["mcp_servers"] == []


@pytest.mark.parametrize(
    ("servers", "field"),
    [
        ([{"name": "files"}], "mcp_servers.0"),
        ([MCP | {"command": "clock"}], "mcp_servers.0"),
        ([{"name": "a", "command": "clock", "headers": {"X": "y"}}], "mcp_servers.0"),
        ([MCP | {"name": "no spaces"}], "mcp_servers.0.name"),
        ([MCP | {"url": "http://127.0.0.1/mcp"}], "mcp_servers.0.url"),
        ([MCP | {"headers": {"Host": "x"}}], "mcp_servers.0.headers"),
        ([{"name": "a", "command": "rm"}], "mcp_servers.0.command"),
        ([MCP, MCP], "mcp_servers"),
        ([MCP | {"name": f"m{n}"} for n in range(11)], "mcp_servers"),
    ],
)
def test_bad_mcp_servers_are_refused(api: Api, servers: list[Any], field: str) -> None:
    problem = api.refused(422, "POST", "/agents", {"name": "ada", "runtime": a2a(), "mcp_servers": servers})
    assert problem["field"] == field
