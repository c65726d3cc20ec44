"""Shaped `http` agents and presets, through the API and the form: what is stored, shown and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from scheduler.storage.tables.core import Agent
from tests.support.api import Api, running_api
from tests.support.pages import signed_in
from tests.support.postgres import Databases

URL = "https://agents.example.org"


@pytest.fixture(scope="module")
def api(databases: Databases) -> Iterator[Api]:
    url = databases.create()
    with running_api(url) as running:
        yield running
    databases.drop(url)


def http(**fields: Any) -> dict[str, Any]:
    return {"kind": "http", "url": URL, **fields}


def stored(api: Api, agent_id: str) -> Any:
    """Returns the decrypted secrets of an agent."""
    with api.db.begin() as conn:
        sealed = conn.execute(select(Agent.runtime_secret).where(Agent.id == agent_id)).scalar_one()
    return None if sealed is None else api.services.box.decrypt(sealed)


def test_a_preset_is_kept_by_its_name_and_its_token_to_itself(api: Api) -> None:
    agent = api.agent("kept", runtime=http(preset="dify", token="app-1", headers={"X-Team": "blue"}))
    shown = {"kind": "http", "url": URL, "preset": "dify", "secret": None}
    assert agent["runtime"] == shown
    assert agent["header_names"] == {"runtime": ["X-Team"]}
    assert json.loads(stored(api, agent["id"])) == {"token": "app-1", "headers": {"X-Team": "blue"}}
    path = f"/agents/{agent['id']}"
    signed = api.patch(path, {"runtime": {"sign": True}})["runtime"]
    assert signed["secret"].startswith("whsec_"), "made, and shown this once"
    assert api.get(path)["runtime"] == shown | {"sign": True}
    assert set(json.loads(stored(api, agent["id"]))) == {"secret", "token", "headers"}
    api.patch(path, {"runtime": {"preset": "langgraph", "token": None, "headers": {"X-Team": None}}})
    assert api.get(path)["runtime"] == shown | {"sign": True, "preset": "langgraph"}
    assert stored(api, agent["id"]).startswith("whsec_"), "the secret alone is stored as it has always been"


def test_a_body_is_replaced_whole_and_the_rest_is_merged(api: Api) -> None:
    body = {"input": "{{context}}", "deep": {"a": 1, "none": None}}
    follow = {"location": True, "done_path": "$.state", "done_values": ["ok"]}
    agent = api.agent("merged", runtime=http(body=body, **{"async": follow}))
    assert agent["runtime"]["body"] == body
    path = f"/agents/{agent['id']}"
    patched = api.patch(path, {"runtime": {"body": {"text": ["{{firings}}"]}, "async": {"done_values": ["fine"]}}})
    assert patched["runtime"]["body"] == {"text": ["{{firings}}"]}
    assert patched["runtime"]["async"]["done_values"] == ["fine"]
    assert patched["runtime"]["async"]["location"] is True
    bare = api.patch(path, {"runtime": {"body": None, "async": None}})
    assert set(bare["runtime"]) == {"kind", "url", "secret"}


def test_a_token_does_not_move_to_another_host(api: Api) -> None:
    agent = api.agent("moved", runtime=http(token="t"))
    moved = {"runtime": {"url": "https://evil.example.org"}}
    assert api.refused(422, "PATCH", f"/agents/{agent['id']}", moved)["field"] == "runtime.url"
    api.patch(f"/agents/{agent['id']}", {"runtime": {"url": "https://evil.example.org", "token": None}})


@pytest.mark.parametrize(
    ("runtime", "field"),
    [
        (http(preset="none-such"), "runtime.preset"),
        (http(preset="letta"), "runtime.parameters"),
        (http(preset="langgraph", bdoy={}), "runtime.bdoy"),
        (http(body={"a": "{{contxt}}"}), "runtime.body"),
        (http(**{"async": {"locatoin": True}}), "runtime.async.locatoin"),
        (http(method="GET", body={}), "runtime.body"),
        (http(reply_path="answer"), "runtime.reply_path"),
        (http(path="v1"), "runtime.path"),
        (http(headers={"Host": "x"}), "runtime.headers"),
    ],
)
def test_what_does_not_fit_names_its_field(api: Api, runtime: dict[str, Any], field: str) -> None:
    assert api.refused(422, "POST", "/agents", {"name": "wrong", "runtime": runtime})["field"] == field


def test_the_form_begins_with_what_a_preset_asks_for(api: Api) -> None:
    browser = signed_in(api)
    page = browser.get("/agents/new", kind="http", preset="letta")
    assert 'value="http://127.0.0.1:8283"' in page
    assert "agent_id: " in page
    assert page.index('name="token"') < page.index("More of its runtime")
    given = {"kind": "http", "name": "formed", "preset": "letta", "url": URL, "token": "t"}
    refused = browser.post("/agents/new", **given, parameters="agent_id: ")
    assert refused.status_code == 422
    assert "needs the parameter agent_id" in refused.text
    made = browser.post("/agents/new", **given, parameters="agent_id: agent-1")
    assert made.status_code == 303
    agent = api.get(made.location.partition("?")[0])
    assert agent["runtime"]["parameters"] == {"agent_id": "agent-1"}
    assert "http (letta)" in browser.get(f"/agents/{agent['id']}")
    edited = {"kind": "http", "name": "formed", "sign": "no", "body": '{"a": {"b": "{{context}}"}}'}
    assert browser.post(f"/agents/{agent['id']}/edit", **edited).status_code == 303
    again = edited | {"body": '{"a": {"c": null}}'}
    assert browser.post(f"/agents/{agent['id']}/edit", **again).status_code == 303
    runtime = api.get(f"/agents/{agent['id']}")["runtime"]
    assert (runtime["sign"], runtime["body"]) == (False, {"a": {"c": None}})


def test_the_presets_are_listed_with_what_they_need(api: Api) -> None:
    by_kind = {each["kind"]: each for each in api.get("/runtimes")["items"]}
    assert list(by_kind) == ["http", "llm", "command", "a2a"]
    assert by_kind["a2a"]["presets"] == []
    assert "reply_path" in by_kind["http"]["config_schema"]["properties"]
    found = {each["name"]: each for each in by_kind["http"]["presets"]}
    assert found["dify"]["needs_token"]
    [assistant] = found["langgraph"]["parameters"]
    assert (assistant["name"], assistant["default"]) == ("assistant_id", "agent")
    assert "settings" not in found["letta"]
