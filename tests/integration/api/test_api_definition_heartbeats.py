"""Heartbeats are part of their agent's definition; channels are named as left out."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.support.api import Api, Caller
from tests.support.definitions import apply, id_of

RUNTIME = {"kind": "command", "name": "echo"}


@pytest.fixture
def tenant(shared: Api) -> Caller:
    """A tenant of the test's own."""
    return shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))


def body(**heartbeat: Any) -> dict[str, Any]:
    return {"agents": [{"name": "ada", "runtime": RUNTIME, "heartbeat": heartbeat}]}


def beats(tenant: Caller) -> list[tuple[Any, ...]]:
    found = tenant.get("/triggers")["items"]
    return [(each["config"], each["reason"], each["is_enabled"]) for each in found if each["name"] == "heartbeat"]


def test_a_heartbeat_is_applied_exported_and_applied_elsewhere(shared: Api, tenant: Caller) -> None:
    wanted = body(minutes=480, only_between="08:00-20:00", instruction="Look.")
    [change] = apply(tenant, wanted)["changes"]
    shown = {each["path"]: each["after"] for each in change["fields"] if each["path"].startswith("heartbeat")}
    assert shown["heartbeat.minutes"] == 480
    assert beats(tenant) == [({"minutes": 480.0, "only_between": "08:00-20:00"}, "Look.", True)]
    assert apply(tenant, wanted)["changes"] == []
    exported = tenant.get("/definitions")
    [agent] = exported["agents"]
    assert agent["heartbeat"] == {"minutes": 480.0, "only_between": "08:00-20:00", "instruction": "Look."}
    assert exported["left_out"] == []
    elsewhere = shared.as_(shared.key, shared.tenant(f"t-{uuid4().hex[:8]}"))
    apply(elsewhere, {"agents": exported["agents"]})
    assert beats(elsewhere) == beats(tenant)
    assert elsewhere.get("/definitions")["agents"] == exported["agents"]


def test_one_that_was_made_by_hand_stays_and_is_exported(tenant: Caller) -> None:
    bare = {"agents": [{"name": "ada", "runtime": RUNTIME}]}
    apply(tenant, bare)
    agent = id_of(tenant, "agents", "ada")
    tenant.call("PUT", f"/agents/{agent}/heartbeat", {"enabled": False})
    assert apply(tenant, bare)["changes"] == []
    assert tenant.get("/definitions")["agents"][0]["heartbeat"] == {"enabled": False}
    assert apply(tenant, body())["changes"] == []  # what somebody turned off is not turned on
    [change] = apply(tenant, body(minutes=300, enabled=True))["changes"]
    assert {each["path"] for each in change["fields"]} == {"heartbeat.enabled", "heartbeat.minutes"}
    assert beats(tenant)[0][::2] == ({"minutes": 300.0}, True)


def test_what_a_tenant_does_not_allow_is_as_with_the_command(tenant: Caller) -> None:
    apply(tenant, body(minutes=5))
    assert beats(tenant)[0][0] == {"minutes": 240.0}
    assert apply(tenant, body(minutes=5))["changes"] == []
    problem = tenant.refused(422, "POST", "/definitions", body(minutes=300, only_between="25:00-26:00"))
    assert [each["field"] for each in problem["errors"]] == ["agents.0.heartbeat.only_between"]
    assert beats(tenant)[0][0] == {"minutes": 240.0}
