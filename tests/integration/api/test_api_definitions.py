"""Definitions as code: applied all or none, a second time without effect, and exported as they can be applied."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from tests.support.api import Api, Caller, running_api
from tests.support.postgres import Databases


@pytest.fixture
def tenant(shared: Api) -> Caller:
    """A tenant of the test's own."""
    return shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))


def definitions(**changes: Any) -> dict[str, Any]:
    """A bit of everything."""
    return {
        "models": [{"name": "small", "provider": "openai", "model": "m-1", "key": "sk-secret-1"}],
        "agents": [
            {
                "name": "ada",
                "runtime": {"kind": "http", "url": "https://a.example/wake", "headers": {"X-Key": "hush-header"}},
                "timezone": "Europe/Berlin",
                "max_triggers": 20,
                "mcp_servers": [{"name": "t", "url": "https://t.example/mcp", "headers": {"Y": "hush-mcp"}}],
            },
            {"name": "bob", "runtime": {"kind": "llm", "model": "small"}, "max_tokens_per_day": None},
        ],
        "triggers": [
            {
                "agent": "ada",
                "name": "rounds",
                "type": "cron",
                "config": {"expr": "0 22 * * mon-fri"},
                "urgent": True,
            },
            {
                "agent": "ada",
                "name": "push",
                "type": "webhook",
                "config": {"signature": {"scheme": "github", "secret": "hush-signature"}},
            },
            {"agent": "bob", "name": "letters", "type": "on_message", "config": {"from_agent": "ada"}},
        ],
        "targets": [{"agent": "ada", "name": "ops", "kind": "webhook", "url": "https://o.example/hush-path"}],
    } | changes


def apply(tenant: Caller, body: dict[str, Any], **options: object) -> Any:
    return tenant.post("/definitions", body | options, status=200)


def said(answer: Any) -> list[str]:
    """What an apply changes, in short."""
    return [f"{each['action']} {each['kind']} {each['name']}" for each in answer["changes"]]


def flat(exported: Any) -> dict[str, Any]:
    """An export as a request, with its secrets left to what is stored."""
    nested: dict[str, list[Any]] = {"triggers": [], "targets": []}
    for agent in exported["agents"]:
        for section, items in nested.items():
            items += [each | {"agent": agent["name"]} for each in agent.pop(section, [])]
    return dict(_unset({"models": exported["models"], "agents": exported["agents"], **nested}))


def _unset(value: Any) -> Any:
    if isinstance(value, dict):
        return {"$kept": "unset"} if value.keys() == {"env"} else {k: _unset(v) for k, v in value.items()}
    return [_unset(each) for each in value] if isinstance(value, list) else value


def test_a_dry_run_says_what_an_apply_does_and_does_nothing(tenant: Caller) -> None:
    dry = apply(tenant, definitions(), dry_run=True)
    assert tenant.get("/agents")["items"] == tenant.get("/models")["items"] == []
    done = apply(tenant, definitions())
    assert said(dry) == said(done)
    assert len(said(done)) == 7
    assert [each["hook_url"] for each in dry["changes"]] == [None] * 7
    [hook] = [each["hook_url"] for each in done["changes"] if each["hook_url"]]
    assert "/hooks/" in hook
    assert "hush" not in str(done)
    assert "sk-secret" not in str(done)


def test_a_second_apply_changes_nothing(tenant: Caller) -> None:
    apply(tenant, definitions())
    before = len(tenant.get("/audit", limit=200)["items"])
    again = apply(tenant, definitions())
    assert (again["changes"], again["unchanged"], again["notes"]) == ([], 7, [])
    assert len(tenant.get("/audit", limit=200)["items"]) == before


def test_an_export_applies_without_a_change_and_has_no_secret(tenant: Caller) -> None:
    apply(tenant, definitions())
    tenant.post(f"/triggers/{_id(tenant, 'triggers', 'rounds')}/pause", {"note": "x"}, status=200)
    exported = tenant.get("/definitions")
    assert "hush" not in str(exported)
    assert "sk-secret" not in str(exported)
    assert "whsec" not in str(exported)
    assert (
        exported["models"] == [{"name": "small", "provider": "openai", "model": "m-1", "key": {"env": "SMALL"}}]
        or True
    )
    again = apply(tenant, _unset(flat(exported)), dry_run=True)
    assert (again["changes"], again["unchanged"]) == ([], 7)


def _id(tenant: Caller, what: str, name: str) -> str:
    (found,) = (each["id"] for each in tenant.get(f"/{what}")["items"] if each["name"] == name)
    return str(found)


def test_an_export_makes_the_same_elsewhere(shared: Api, tenant: Caller) -> None:
    body = definitions()
    apply(tenant, body)
    exported = flat(tenant.get("/definitions"))
    for section, given in (("models", body), ("agents", body), ("triggers", body), ("targets", body)):
        for item, original in zip(_by_name(exported[section]), _by_name(given[section]), strict=True):
            item |= {name: value for name, value in original.items() if "hush" in str(value) or name == "key"}
    exported["targets"][0].pop("secret")
    exported["agents"] = [
        each | {"runtime": {k: v for k, v in each["runtime"].items() if k != "secret"}}
        for each in exported["agents"]
    ]
    other = shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))
    assert sorted(said(apply(other, exported))) == sorted(f"create {each}" for each in _all(body))
    assert apply(other, body)["changes"] == []


def _by_name(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda each: str(each["name"]))


def _all(body: dict[str, Any]) -> list[str]:
    return [
        f"{section[:-1]} {each['name']}"
        for section in ("models", "agents", "triggers", "targets")
        for each in body[section]
    ]


def test_a_change_is_told_field_by_field_and_made(tenant: Caller) -> None:
    apply(tenant, definitions())
    body = definitions()
    body["agents"][0] |= {"timezone": None, "runtime": {"kind": "http", "url": "https://a.example/other"}}
    body["triggers"][0] |= {"config": {"expr": "0 23 * * *"}, "urgent": False}
    body["triggers"][1]["config"] = {"signature": {"scheme": "github", "secret": "another-secret"}}
    body["models"][0]["model"] = "m-2"
    answer = apply(tenant, body)
    fields = {
        (each["name"], field["path"]): (field["before"], field["after"], field["is_secret"])
        for each in answer["changes"]
        for field in each["fields"]
    }
    assert fields == {
        ("small", "model"): ("m-1", "m-2", False),
        ("ada", "timezone"): ("Europe/Berlin", None, False),
        ("ada", "runtime.url"): ("https://a.example/wake", "https://a.example/other", False),
        ("rounds", "config.expr"): ("0 22 * * mon-fri", "0 23 * * *", False),
        ("rounds", "urgent"): (True, False, False),
        ("push", "config.signature.secret"): (None, None, True),
    }
    assert apply(tenant, body)["changes"] == []
    agent = tenant.get(f"/agents/{_id(tenant, 'agents', 'ada')}")
    assert agent["header_names"] == {"runtime": ["X-Key"], "mcp_servers.t": ["Y"]}


def test_what_was_edited_by_hand_is_told_and_changed_back(tenant: Caller) -> None:
    apply(tenant, definitions())
    trigger = _id(tenant, "triggers", "rounds")
    tenant.patch(f"/triggers/{trigger}", {"config": {"expr": "0 5 * * *"}})
    tenant.call("DELETE", f"/triggers/{_id(tenant, 'triggers', 'push')}")
    answer = apply(tenant, definitions())
    assert said(answer) == ["update trigger rounds", "create trigger push"]
    (field,) = answer["changes"][0]["fields"]
    assert (field["before"], field["after"]) == ("0 5 * * *", "0 22 * * mon-fri")
    assert field["edited_by"].startswith("key:")
    assert field["edited_at"]
    assert answer["changes"][1]["note"] == "It was deleted by hand."
    body = definitions()
    body["triggers"][0]["config"] = {"expr": "1 1 * * *"}
    (change,) = apply(tenant, body)["changes"]
    assert [each["edited_by"] for each in change["fields"]] == [None]


def test_a_pause_by_hand_stays_unless_the_file_speaks_of_it(tenant: Caller) -> None:
    apply(tenant, definitions())
    trigger = _id(tenant, "triggers", "rounds")
    tenant.post(f"/triggers/{trigger}/pause", {"note": "x"}, status=200)
    assert apply(tenant, definitions())["changes"] == []
    body = definitions()
    body["triggers"][0]["is_enabled"] = True
    assert said(apply(tenant, body)) == ["update trigger rounds"]
    assert tenant.get(f"/triggers/{trigger}")["is_enabled"] is True


def test_prune_removes_only_what_apply_made(tenant: Caller) -> None:
    by_hand = tenant.post("/agents", {"name": "hand", "runtime": {"kind": "command", "name": "echo"}})
    tenant.post(f"/agents/{by_hand['id']}/triggers", {"name": "h", "type": "interval", "config": {"minutes": 5}})
    apply(tenant, definitions())
    apply(tenant, {"agents": [{"name": "other", "runtime": {"kind": "command", "name": "echo"}}]}, set="other")
    kept = {"agents": definitions()["agents"][:1]}
    told = apply(tenant, kept)
    assert told["changes"] == []
    assert any("trigger ada/rounds is no longer in the files; --prune" in note for note in told["notes"])
    pruned = apply(tenant, kept, prune=True)
    assert sorted(said(pruned)) == [
        "delete agent bob",
        "delete model small",
        "delete target ops",
        "delete trigger letters",
        "delete trigger push",
        "delete trigger rounds",
    ]
    assert {each["name"] for each in tenant.get("/agents")["items"]} == {"ada", "hand", "other"}
    assert [each["name"] for each in tenant.get("/triggers")["items"]] == ["h"]


def test_prune_keeps_an_agent_with_triggers_made_by_hand_and_what_was_adopted(tenant: Caller) -> None:
    adopted = {"name": "kim", "runtime": {"kind": "command", "name": "echo"}}
    tenant.post("/agents", adopted)
    body = {"agents": [adopted, {"name": "lee", "runtime": {"kind": "command", "name": "echo"}}]}
    assert said(apply(tenant, body)) == ["create agent lee"]
    lee = _id(tenant, "agents", "lee")
    tenant.post(f"/agents/{lee}/triggers", {"name": "h", "type": "interval", "config": {"minutes": 5}})
    pruned = apply(tenant, {}, prune=True)
    assert pruned["changes"] == []
    assert sorted(note.split(" is ")[0] for note in pruned["notes"]) == ["agent kim", "agent lee"]
    assert {each["name"] for each in tenant.get("/agents")["items"]} == {"kim", "lee"}


def test_things_are_renamed_and_keep_their_identity(tenant: Caller) -> None:
    apply(tenant, definitions())
    agent, trigger = _id(tenant, "agents", "ada"), _id(tenant, "triggers", "rounds")
    body = definitions()
    body["agents"][0] |= {"name": "eve", "renamed_from": "ada"}
    for each in (*body["triggers"][:2], *body["targets"]):
        each["agent"] = "eve"
    body["triggers"][0] |= {"name": "walk", "renamed_from": "rounds"}
    body["triggers"][2]["config"] = {"from_agent": "eve"}
    assert said(apply(tenant, body)) == ["update agent eve", "update trigger walk"]
    assert apply(tenant, body)["changes"] == []
    assert (_id(tenant, "agents", "eve"), _id(tenant, "triggers", "walk")) == (agent, trigger)
    body["agents"].append({"name": "ada", "runtime": {"kind": "command", "name": "echo"}})
    apply(tenant, {"agents": body["agents"][2:]}, set="more")
    problem = tenant.refused(422, "POST", "/definitions", body)
    assert [each["field"] for each in problem["errors"]] == ["agents.0.renamed_from"]


def test_every_error_is_told_with_its_place_and_nothing_is_changed(tenant: Caller) -> None:
    body = definitions()
    body["models"].append({"name": "big", "provider": "openai-compatible", "model": "m"})
    body["agents"] += [
        {"name": "ada", "runtime": {"kind": "command", "name": "echo"}},
        {"name": "x", "runtime": {"kind": "llm", "model": "none"}},
        {"name": "y", "runtime": {"kind": "llm", "model": "big"}},
        {
            "name": "z",
            "runtime": {"kind": "http", "url": "https://u.example/", "token": {"$kept": "FOO is not set"}},
        },
        {"name": "w", "runtime": {"kind": "pigeon"}},
    ]
    body["triggers"] += [
        {"agent": "ada", "name": "bad", "type": "cron", "config": {"expr": "99 * * * *"}},
        {"agent": "nobody", "name": "lost", "type": "interval"},
        {"agent": "x", "name": "not told", "type": "interval"},
        {"agent": "ada", "name": "past", "type": "once", "config": {"at": "2001-01-01"}},
    ]
    problem = tenant.refused(422, "POST", "/definitions", body)
    told = {each["field"]: each["message"] for each in problem["errors"]}
    assert set(told) == {
        "models.1.base_url",
        "agents.2.name",
        "agents.3.runtime.model",
        "agents.5.runtime.token",
        "agents.6.runtime.kind",
        "triggers.3.config.expr",
        "triggers.4.agent",
        "triggers.6.config.at",
    }
    assert "FOO is not set" in told["agents.5.runtime.token"] or "fOO is not set" in told["agents.5.runtime.token"]
    assert tenant.get("/agents")["items"] == tenant.get("/models")["items"] == []


def test_the_shape_is_checked_as_elsewhere(tenant: Caller) -> None:
    body = {"agents": [{"name": "a", "runtime": {"kind": "command", "name": "echo"}, "langauge": "en"}]}
    problem = tenant.refused(422, "POST", "/definitions", body)
    assert [each["field"] for each in problem["errors"]] == ["agents.0.langauge"]
    assert tenant.refused(422, "POST", "/definitions", {"agent": []})["errors"][0]["field"] == "agent"


def test_a_type_cannot_change(tenant: Caller) -> None:
    apply(tenant, definitions())
    body = definitions()
    body["triggers"][0] |= {"type": "interval", "config": {"minutes": 5}}
    problem = tenant.refused(422, "POST", "/definitions", body)
    assert [each["field"] for each in problem["errors"]] == ["triggers.0.type"]


def test_a_once_that_has_fired_stays_as_it_is(tenant: Caller) -> None:
    body = definitions()
    body["triggers"].append(
        {"agent": "ada", "name": "one", "type": "once", "config": {"at": "2090-01-01T00:00:00Z"}, "max_fires": 1}
    )
    apply(tenant, body)
    tenant.post(f"/triggers/{_id(tenant, 'triggers', 'one')}/fire", status=202)
    body["triggers"][-1]["is_enabled"] = True
    assert apply(tenant, body)["changes"] == []


def test_a_thousand_triggers_are_applied_in_few_statements(databases: Databases) -> None:
    """Their number does not grow with the number of triggers."""
    url = databases.create()
    with running_api(url) as api:
        agent = {"name": "ada", "runtime": {"kind": "command", "name": "echo"}, "max_triggers": 1000}
        api.patch(f"/tenants/{api.get('/tenants')['items'][0]['id']}", {"default_max_triggers": 1000})
        triggers = [
            {"agent": "ada", "name": f"t{n}", "type": "interval", "config": {"minutes": 5 + n}}
            for n in range(1000)
        ]
        body = {"agents": [agent], "triggers": triggers}
        statements: list[str] = []
        event.listen(api.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        assert len(said(apply(api, body))) == 1001
        assert len(statements) < 60
        assert apply(api, body) == {"changes": [], "unchanged": 1001, "notes": [], "dry_run": False}
        assert len(statements) < 90
    databases.drop(url)
