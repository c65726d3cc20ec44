"""What an agent may do with a trigger, through every interface: it cannot undo what a person created or paused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.ids import new_id
from tests.support.api import Api, Caller
from tests.support.database import rows
from tests.support.tools import Toolbox

Door = Callable[[str, dict[str, Any]], tuple[bool, str]]
"""An agent's attempt to change a trigger: whether it was allowed, and the message."""

REFUSED = {403}
HANDS: dict[str, tuple[str, str, Any]] = {
    "change": ("PATCH", "/triggers/{id}", {"reason": "mine now"}),
    "grant": ("PATCH", "/triggers/{id}", {"managed_by_agent": True}),
    "pause": ("POST", "/triggers/{id}/pause", None),
    "switch off": ("PATCH", "/triggers/{id}", {"is_enabled": False}),
    "rotate": ("POST", "/triggers/{id}/rotate-token", None),
    "delete": ("DELETE", "/triggers/{id}", None),
    "resolve": ("POST", "/agents/{agent_id}/focus/order/resolve", None),
    "replay": ("POST", "/triggers/{id}/deliveries/{delivery_id}/replay", None),
    "replay many": (
        "POST",
        "/triggers/{id}/deliveries/replay",
        {"since": "2020-01-01T00:00:00Z", "until": "2090-01-01T00:00:00Z"},
    ),
}
STARTS: dict[str, tuple[str, str, Any]] = {
    "resume": ("POST", "/triggers/{id}/resume", None),
    "switch on": ("PATCH", "/triggers/{id}", {"is_enabled": True}),
    "delete": ("DELETE", "/triggers/{id}", None),
}
TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "change": ("update_trigger", {"reason": "mine now"}),
    "pause": ("update_trigger", {"is_enabled": False}),
    "resume": ("update_trigger", {"is_enabled": True}),
    "delete": ("cancel_trigger", {}),
}


GRANTED = {"granted": {"managed_by_agent": True}}


def by_rest(own: Caller, hand: tuple[str, str, Any], names: dict[str, str]) -> tuple[int, str]:
    """Returns the status and the text of the response to the agent's own key."""
    method, path, body = hand
    answer = own.call(method, path.format(**names), body)
    return answer.status_code, answer.text


def by_mcp(own: Caller, name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Returns whether a tool is refused over MCP, and its message."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    headers = {"Accept": "application/json"}
    answer = own.call("POST", "//mcp", message, headers=headers).json
    assert answer is not None
    result = answer["result"]
    return result["isError"], result["content"][0]["text"]


@pytest.fixture
def api(shared: Api) -> Api:
    """The application on a database that this module shares; each test has its own agent."""
    return shared


@pytest.fixture
def agent_id(api: Api) -> str:
    """The agent."""
    return str(api.agent(f"ada {new_id()}")["id"])


@pytest.fixture
def own(api: Api, agent_id: str) -> Caller:
    """The agent's own key."""
    return api.with_key(f"agent:{agent_id}")


def hook(maker: Caller, agent_id: str, **fields: Any) -> dict[str, str]:
    """Creates a webhook with a delivery, as a person or as the agent; returns what paths need."""
    body = {"name": "hook", "type": "webhook", "config": {}, "focus_ref": "order", **fields}
    made = maker.post(f"/agents/{agent_id}/triggers", body)
    token = made["hook_url"].rsplit("/", 1)[1]
    assert maker.call("POST", f"//hooks/{token}", data=b"hello", headers={}).status_code == 202
    (delivery,) = maker.get(f"/triggers/{made['id']}/deliveries")["items"]
    return {"id": made["id"], "agent_id": agent_id, "delivery_id": delivery["id"]}


@pytest.mark.parametrize("hand", HANDS)
def test_a_persons_trigger_is_read_and_fired_not_changed(api: Api, own: Caller, agent_id: str, hand: str) -> None:
    names = hook(api, agent_id)
    before = api.get(f"/triggers/{names['id']}")
    status, text = by_rest(own, HANDS[hand], names)
    assert status in REFUSED and "person" in text
    assert api.get(f"/triggers/{names['id']}") == before
    assert len(rows(api.db, "SELECT 1 FROM firings WHERE agent_id = :id", id=agent_id)) == 1
    assert own.get(f"/triggers/{names['id']}")["created_by"].startswith("key:")
    own.post(f"/triggers/{names['id']}/fire", None, 202)


@pytest.mark.parametrize("hand", [each for each in HANDS if each != "grant"])
def test_a_person_may_grant_it(api: Api, own: Caller, agent_id: str, hand: str) -> None:
    names = hook(api, agent_id, managed_by_agent=True)
    assert by_rest(own, HANDS[hand], names)[0] in {200, 202, 204}


@pytest.mark.parametrize("hand", [each for each in HANDS if each != "grant"])
def test_what_an_agent_made_is_its_own(own: Caller, agent_id: str, hand: str) -> None:
    names = hook(own, agent_id)
    assert by_rest(own, HANDS[hand], names)[0] in {200, 202, 204}


@pytest.mark.parametrize("approve", [False, True])
@pytest.mark.parametrize("maker", ["agent", "person", "granted"])
@pytest.mark.parametrize("hand", STARTS)
def test_what_a_person_paused_only_a_person_resumes(
    api: Api, own: Caller, agent_id: str, hand: str, maker: str, approve: bool
) -> None:
    names = hook(
        own if maker == "agent" else api, agent_id, **({"managed_by_agent": True} if maker == "granted" else {})
    )
    api.post(f"/triggers/{names['id']}/pause", {"note": "too loud"}, 200)
    api.patch(f"/agents/{agent_id}", {"approve_triggers": approve})
    assert by_rest(own, STARTS[hand], names)[0] in REFUSED
    shown = api.get(f"/triggers/{names['id']}")
    assert (shown["is_enabled"], shown["paused_note"], shown["paused_by"]) == (False, "too loud", "key:operator")
    resumed = api.post(f"/triggers/{names['id']}/resume", None, 200)
    assert (resumed["is_enabled"], resumed["paused_by"]) == (True, None)


@pytest.mark.parametrize("hand", TOOLS)
@pytest.mark.parametrize("door", ["mcp", "llm"])
def test_the_tools_are_held_by_the_same_rule(api: Api, own: Caller, agent_id: str, hand: str, door: str) -> None:
    names = hook(api, agent_id)
    if hand == "resume":
        api.post(f"/triggers/{names['id']}/pause", None, 200)
    before = api.get(f"/triggers/{names['id']}")
    tool, arguments = TOOLS[hand]
    if door == "mcp":
        is_error, text = by_mcp(own, tool, {"trigger": "hook", **arguments})
        assert is_error
    else:
        text = Toolbox(api.db, UUID(agent_id)).refused(tool, trigger="hook", **arguments)
    assert "person" in text
    assert api.get(f"/triggers/{names['id']}") == before


def test_an_agent_may_end_its_own_pause_but_not_a_persons(api: Api, own: Caller, agent_id: str) -> None:
    path = f"/triggers/{hook(own, agent_id)['id']}"
    assert own.post(f"{path}/pause", None, 200)["paused_by"] == f"agent:{agent_id}"
    assert own.post(f"{path}/resume", None, 200)["is_enabled"] is True
    own.post(f"{path}/pause", None, 200)
    assert api.post(f"{path}/pause", None, 200)["paused_by"] == "key:operator"
    own.refused(403, "POST", f"{path}/resume")


def test_an_end_that_a_person_set_stands(api: Api, own: Caller, agent_id: str) -> None:
    """By a count that is reached, and by the focus that was resolved."""
    path = f"/triggers/{hook(own, agent_id)['id']}"
    assert api.patch(path, {"max_fires": 1})["paused_note"] == "max_fires"
    own.refused(403, "PATCH", path, {"max_fires": 50, "is_enabled": True})
    api.post(f"{path}/resume", None, 200)
    api.post(f"/agents/{agent_id}/focus/order/resolve", None, 200)
    own.refused(403, "POST", f"{path}/resume")


def test_an_agent_resolves_its_own_part_of_a_focus(api: Api, own: Caller, agent_id: str) -> None:
    theirs = hook(api, agent_id)
    mine = hook(own, agent_id, name="mine")
    for _ in range(2):
        ended = own.post(f"/agents/{agent_id}/focus/order/resolve", None, 200)["items"]
        assert {each["id"]: each["is_enabled"] for each in ended} == {theirs["id"]: True, mine["id"]: False}


def test_a_look_needs_the_approval_that_the_poll_needs(api: Api) -> None:
    agent_id = str(api.agent("bob", approve_triggers=True)["id"])
    own = api.with_key(f"agent:{agent_id}")
    config = {"url": "http://192.0.2.1/", "method": "POST", "body": "x", "interval_min": 5}
    said = own.refused(403, "POST", "/triggers/try", {"config": config})
    assert "A person must approve" in said["detail"]
    body = {"name": "poll", "type": "poll", "config": {"url": "https://example.com/", "interval_min": 5}}
    made = own.post(f"/agents/{agent_id}/triggers", body)
    own.refused(403, "POST", f"/triggers/{made['id']}/try")


def test_an_agent_calls_off_by_a2a_only_what_it_sent(api: Api, own: Caller, agent_id: str) -> None:
    def call(who: Caller, method: str, params: dict[str, Any]) -> Any:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return who.call("POST", f"//a2a/{agent_id}", message, headers={"A2A-Version": "1.0"}).json

    message = {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "do it"}]}
    sent = call(api, "SendMessage", {"message": message, "configuration": {"returnImmediately": True}})
    task_id = sent["result"]["task"]["id"]
    assert call(own, "GetTask", {"id": task_id})["result"]["id"] == task_id
    refused = call(own, "CancelTask", {"id": task_id})["error"]
    assert "Somebody else sent the task" in json.dumps(refused)
    assert rows(api.db, "SELECT state FROM invocations WHERE agent_id = :id", id=agent_id) == [("collecting",)]
    assert call(api, "CancelTask", {"id": task_id})["result"]["status"]["state"] == "TASK_STATE_CANCELED"
