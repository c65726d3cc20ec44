"""Many agents and triggers in one request: all or none, and every fault is reported with its row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Api, agent_body, trigger_body

NONE = "0190a5b2-0000-7000-8000-000000000000"


def errors(problem: Any) -> list[str]:
    return [each["field"] for each in problem["errors"]]


def count(api: Api, what: str) -> int:
    return len(api.get(f"/{what}", limit=200)["items"])


def test_many_agents_are_made_in_their_order_as_one_is(shared: Api) -> None:
    one = shared.agent("alone")
    made = shared.post("/agents/bulk", {"items": [agent_body(f"crowd {n}") for n in range(30)]})["items"]
    assert [each["name"] for each in made] == [f"crowd {n}" for n in range(30)]
    assert made[7].keys() == one.keys()
    for each in made[::10]:
        shown = shared.get(f"/agents/{each['id']}")
        assert {name: shown[name] for name in each} == each
        [event] = shared.get("/audit", subject_id=each["id"])["items"]
        assert event["action"] == "agent.created"


def test_the_secrets_of_http_agents_are_shown_once(shared: Api) -> None:
    runtime = {"kind": "http", "url": "https://agents.example.org/"}
    items = [agent_body(f"secretive {n}", runtime=runtime) for n in range(2)]
    secrets = {each["runtime"]["secret"] for each in shared.post("/agents/bulk", {"items": items})["items"]}
    assert len(secrets) == 2
    assert None not in secrets


def test_many_triggers_of_several_agents_are_made_as_one_is(shared: Api) -> None:
    agents = [str(shared.agent(f"owner {n}")["id"]) for n in range(3)]
    bodies = [
        trigger_body("tick", expires_at="2090-01-01T00:00:00Z"),
        trigger_body("hook", type="webhook", config={}),
        trigger_body("nine", type="cron", config={"expr": "0 9 * * mon", "timezone": "Europe/Berlin"}),
        trigger_body("never", max_fires=0),
    ]
    made = shared.post(
        "/triggers/bulk", {"items": [{"agent_id": agent, **body} for agent in agents for body in bodies]}
    )["items"]
    assert [(each["agent_id"], each["name"]) for each in made] == [
        (agent, body["name"]) for agent in agents for body in bodies
    ]
    other = str(shared.agent("by hand")["id"])
    for each, body in zip(made, bodies, strict=False):
        alone = shared.post(f"/agents/{other}/triggers", body)
        own = {"id", "agent_id", "next_fire_at", "hook_url", "created_at", "updated_at"}
        assert {k: v for k, v in each.items() if k not in own} == {k: v for k, v in alone.items() if k not in own}
        assert (each["hook_url"] is None) == (body["name"] != "hook")
        shown = shared.get(f"/triggers/{each['id']}")
        assert {k: shown[k] for k in each if k != "hook_url"} == {k: each[k] for k in each if k != "hook_url"}
    hook = made[1]["hook_url"].partition("/hooks/")[2]
    assert shared.call("POST", f"//hooks/{hook}", {"a": 1}).status_code == 202


@pytest.mark.parametrize("what", ["agents", "triggers"])
def test_no_row_and_too_many_are_refused(shared: Api, what: str) -> None:
    row = agent_body("x") if what == "agents" else {"agent_id": NONE, **trigger_body()}
    for items in ([], [row] * 1001):
        assert errors(shared.refused(422, "POST", f"/{what}/bulk", {"items": items})) == ["items"]
    assert errors(shared.refused(422, "POST", f"/{what}/bulk", {})) == ["items"]


def test_every_wrong_agent_is_named_and_none_is_made(shared: Api) -> None:
    before = count(shared, "agents")
    good = agent_body("good")
    problem = shared.refused(
        422, "POST", "/agents/bulk", {"items": [good, {**good, "colour": "red"}, {"name": ""}, "x"]}
    )
    assert errors(problem) == ["items.1.colour", "items.2.name", "items.2.runtime", "items.3"]
    bad_kind = {**good, "runtime": {"kind": "http", "url": "ftp://x", "secret": 5}}
    assert "items.1.runtime.secret" in errors(
        shared.refused(422, "POST", "/agents/bulk", {"items": [good, bad_kind]})
    )
    items = [
        good,
        {**good, "name": "private", "runtime": {"kind": "http", "url": "http://10.0.0.1/"}},
        {**good, "name": "greedy", "max_triggers": 9999},
        good,
    ]
    problem = shared.refused(422, "POST", "/agents/bulk", {"items": items})
    assert errors(problem) == ["items.1.runtime.url", "items.2.max_triggers", "items.3.name"]
    assert "row 0 has it too" in problem["detail"]
    shared.agent("taken")
    assert errors(shared.refused(409, "POST", "/agents/bulk", {"items": [good, {**good, "name": "taken"}]})) == [
        "items.1.name"
    ]
    assert count(shared, "agents") == before + 1


def test_every_wrong_trigger_is_named_and_none_is_made(shared: Api) -> None:
    agent = str(shared.agent("picky", max_triggers=3)["id"])
    shared.trigger(agent, "taken")
    before = count(shared, "triggers")
    row = {"agent_id": agent, **trigger_body("fresh")}
    wrong = [
        row,
        {**row, "name": "bad", "type": "cron", "config": {"expr": "61 * * * *"}},
        {**row, "agent_id": NONE},
        {**row, "name": "taken"},
        row,
    ]
    problem = shared.refused(422, "POST", "/triggers/bulk", {"items": wrong})
    assert errors(problem) == ["items.1.config.expr", "items.2.agent_id", "items.3.name", "items.4.name"]
    many = [{**row, "name": f"n{n}"} for n in range(3)]
    problem = shared.refused(409, "POST", "/triggers/bulk", {"items": many})
    assert errors(problem) == ["items.2.max_triggers"]
    assert count(shared, "triggers") == before
    assert len(shared.post("/triggers/bulk", {"items": many[:2]})["items"]) == 2


def test_an_agents_own_key_makes_triggers_of_its_own_within_its_limits(shared: Api) -> None:
    agent, other = (str(shared.agent(name)["id"]) for name in ("self-made", "not mine"))
    mine = shared.with_key(f"agent:{agent}")
    row = {"agent_id": agent, **trigger_body("mine")}
    [made] = mine.post("/triggers/bulk", {"items": [row]})["items"]
    assert (made["max_fires"], made["created_by"]) == (100, f"agent:{agent}")
    mine.refused(404, "POST", "/triggers/bulk", {"items": [{**row, "agent_id": other}]})
    mine.refused(403, "POST", "/agents/bulk", {"items": [agent_body("no")]})
    fast = {**row, "name": "fast", "config": {"seconds": 5}}
    assert errors(mine.refused(422, "POST", "/triggers/bulk", {"items": [fast]})) == ["items.0.config"]
