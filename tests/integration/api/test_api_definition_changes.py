"""Definitions that are pruned, renamed or refused."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.support.api import Api, Caller
from tests.support.database import change
from tests.support.definitions import apply, definitions, id_of, said


@pytest.fixture
def tenant(shared: Api) -> Caller:
    """A tenant of the test's own."""
    return shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))


def test_prune_removes_only_what_apply_made(tenant: Caller) -> None:
    by_hand = tenant.post("/agents", {"name": "hand", "runtime": {"kind": "command", "name": "echo"}})
    tenant.post(f"/agents/{by_hand['id']}/triggers", {"name": "h", "type": "interval", "config": {"minutes": 5}})
    apply(tenant, definitions())
    apply(tenant, {"agents": [{"name": "other", "runtime": {"kind": "command", "name": "echo"}}]}, set="other")
    kept = {"agents": definitions()["agents"][:1]}
    told = apply(tenant, kept)
    assert told["changes"] == []
    (note,) = told["notes"]
    assert "trigger ada/rounds" in note
    assert "--prune" in note
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
    lee = id_of(tenant, "agents", "lee")
    tenant.post(f"/agents/{lee}/triggers", {"name": "h", "type": "interval", "config": {"minutes": 5}})
    pruned = apply(tenant, {}, prune=True)
    assert pruned["changes"] == []
    assert sorted(note.split(" is ")[0] for note in pruned["notes"]) == ["agent kim", "agent lee"]
    assert {each["name"] for each in tenant.get("/agents")["items"]} == {"kim", "lee"}


def test_things_are_renamed_and_keep_their_identity(tenant: Caller) -> None:
    apply(tenant, definitions())
    agent, trigger = id_of(tenant, "agents", "ada"), id_of(tenant, "triggers", "rounds")
    body = definitions()
    body["agents"][0] |= {"name": "eve", "renamed_from": "ada"}
    for each in (*body["triggers"][:2], *body["targets"]):
        each["agent"] = "eve"
    body["triggers"][0] |= {"name": "walk", "renamed_from": "rounds"}
    body["triggers"][2]["config"] = {"from_agent": "eve"}
    assert said(apply(tenant, body)) == ["update agent eve", "update trigger walk"]
    assert apply(tenant, body)["changes"] == []
    assert (id_of(tenant, "agents", "eve"), id_of(tenant, "triggers", "walk")) == (agent, trigger)
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
    tenant.post(f"/triggers/{id_of(tenant, 'triggers', 'one')}/fire", status=202)
    body["triggers"][-1]["is_enabled"] = True
    assert apply(tenant, body)["changes"] == []


def test_what_is_pruned_while_it_is_due_is_decided_first(shared: Api, tenant: Caller) -> None:
    body = {"agents": definitions()["agents"][:1]}
    due = [
        {"agent": "ada", "name": f"due-{each}", "type": "interval", "config": {"minutes": 60}} for each in range(3)
    ]
    apply(tenant, body | {"triggers": due})
    past = "UPDATE jobs SET next_run_time = now() - interval '1 s' FROM triggers t WHERE t.id = trigger_id"
    change(shared.db, past + " AND t.name LIKE 'due-%'")
    pruned = apply(tenant, body, prune=True)
    assert len(pruned["changes"]) == 3
    assert len(tenant.get("/firings")["items"]) == 3
