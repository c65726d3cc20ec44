"""Definitions as code: applied all or none, a second time without effect, and exported as they can be applied."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from tests.support.api import Api, Caller, running_api
from tests.support.definitions import apply, definitions, flat, id_of, said, unset
from tests.support.postgres import Databases


@pytest.fixture
def tenant(shared: Api) -> Caller:
    """A tenant of the test's own."""
    return shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))


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
    tenant.post(f"/triggers/{id_of(tenant, 'triggers', 'rounds')}/pause", {"note": "x"}, status=200)
    exported = tenant.get("/definitions")
    assert "hush" not in str(exported)
    assert "sk-secret" not in str(exported)
    assert "whsec" not in str(exported)
    [model] = exported["models"]
    assert model == {"name": "small", "provider": "openai", "model": "m-1", "key": {"env": "MODEL_SMALL_KEY"}}
    again = apply(tenant, unset(flat(exported)), dry_run=True)
    assert (again["changes"], again["unchanged"]) == ([], 7)


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
    agent = tenant.get(f"/agents/{id_of(tenant, 'agents', 'ada')}")
    assert agent["header_names"] == {"runtime": ["X-Key"], "mcp_servers.t": ["Y"]}


def test_what_was_edited_by_hand_is_told_and_changed_back(tenant: Caller) -> None:
    apply(tenant, definitions())
    trigger = id_of(tenant, "triggers", "rounds")
    tenant.patch(f"/triggers/{trigger}", {"config": {"expr": "0 5 * * *"}})
    tenant.call("DELETE", f"/triggers/{id_of(tenant, 'triggers', 'push')}")
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
    trigger = id_of(tenant, "triggers", "rounds")
    tenant.post(f"/triggers/{trigger}/pause", {"note": "x"}, status=200)
    assert apply(tenant, definitions())["changes"] == []
    body = definitions()
    body["triggers"][0]["is_enabled"] = True
    assert said(apply(tenant, body)) == ["update trigger rounds"]
    assert tenant.get(f"/triggers/{trigger}")["is_enabled"] is True


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
        assert len(said(apply(api, {"agents": [agent]}, prune=True))) == 1000
        assert len(statements) < 120
    databases.drop(url)


def test_agents_and_targets_are_deleted_in_few_statements(databases: Databases) -> None:
    """Their number does not grow with the number of objects."""
    url = databases.create()
    with running_api(url) as api:
        names = [f"a{n}" for n in range(30)]
        body = {
            "agents": [{"name": name, "runtime": {"kind": "command", "name": "echo"}} for name in names],
            "triggers": [{"agent": name, "name": "t", "type": "webhook"} for name in names],
            "targets": [
                {"agent": name, "name": "t", "kind": "slack", "url": "https://hooks.slack.com/x"} for name in names
            ],
        }
        assert len(said(apply(api, body))) == 90
        api.trigger(id_of(api, "agents", "a0"), "by hand")
        statements: list[str] = []
        event.listen(api.db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        pruned = apply(api, {"agents": [], "triggers": [], "targets": []}, prune=True)
        assert len(said(pruned)) == 89
        [note] = pruned["notes"]
        assert note.startswith(
            "agent a0 is no longer in the files, but stays: it still has 1 trigger and 0 targets"
        )
        assert len(statements) < 60
        assert [each["name"] for each in api.get("/agents")["items"]] == ["a0"]
    databases.drop(url)
