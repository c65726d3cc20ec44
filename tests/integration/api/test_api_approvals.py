"""A person approves what an agent creates, and nothing else enables it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api import Api, Caller, trigger_body
from tests.support.database import rows


@pytest.fixture
def own(api: Api) -> Caller:
    """Returns the key of an agent whose triggers require approval."""
    return api.with_key(f"agent:{api.agent('ada', approve_triggers=True)['id']}")


def make(own: Caller, name: str = "tick", **fields: object) -> Any:
    """Creates a trigger as the agent."""
    agent_id = own.get("/agents")["items"][0]["id"]
    return own.post(f"/agents/{agent_id}/triggers", trigger_body(name, **fields))


def test_what_an_agent_makes_waits_for_approval_and_fires_after_it(api: Api, own: Caller) -> None:
    made = make(own)
    assert (made["is_enabled"], made["paused_note"]) == (False, "awaiting approval")
    assert (made["approval"], made["next_fire_at"]) == ("awaiting", None)
    assert made["created_by"] == f"agent:{made['agent_id']}"
    assert [each["id"] for each in api.get("/approvals")["items"]] == [made["id"]]
    assert [each["id"] for each in own.get("/approvals")["items"]] == [made["id"]]
    path = f"/triggers/{made['id']}"
    own.refused(403, "POST", f"{path}/approve")
    own.refused(403, "POST", f"{path}/reject")
    approved = api.post(f"{path}/approve", None, 200)
    assert (approved["is_enabled"], approved["approval"], approved["paused_note"]) == (True, "approved", None)
    assert approved["next_fire_at"]
    assert api.get("/approvals")["items"] == []
    own.post(f"{path}/fire", None, 202)
    api.refused(409, "POST", f"{path}/approve")
    api.refused(409, "POST", f"{path}/reject")
    events = api.get("/audit", subject_id=made["id"])["items"]
    assert [event["action"] for event in events] == ["trigger.fired", "trigger.approved", "trigger.created"]
    assert events[-1]["detail"]["approval"] == "awaiting"


def test_nothing_enables_a_trigger_that_nobody_approved(api: Api, own: Caller) -> None:
    """Neither the agent nor, by mistake, a person: approving is a separate action."""
    made = make(own, "hook", type="webhook", config={})
    path = f"/triggers/{made['id']}"
    for who in (own, api):
        assert "awaits a person's approval" in who.refused(409, "POST", f"{path}/resume")["detail"]
        who.refused(409, "POST", f"{path}/fire")
        who.refused(409, "PATCH", path, {"is_enabled": True}) if who is api else None
        who.post(f"{path}/pause", {"note": "mine"}, 200)
    changed = own.patch(path, {"is_enabled": True, "reason": "please", "max_fires": 5})
    assert (changed["is_enabled"], changed["paused_note"]) == (False, "awaiting approval")
    own.refused(409, "PATCH", path, {"is_enabled": True})
    assert api.call("POST", f"//hooks/{made['hook_url'].rsplit('/', 1)[1]}", data=b"x").status_code == 404
    assert api.get(path)["is_enabled"] is False
    assert rows(api.db, "SELECT id FROM firings") == []
    assert rows(api.db, "SELECT 1 FROM jobs WHERE kind = 'fire' AND next_run_time IS NOT NULL") == []


def test_a_rejected_trigger_stays_off_until_the_agent_asks_again(api: Api, own: Caller) -> None:
    made = make(own)
    path = f"/triggers/{made['id']}"
    rejected = api.post(f"{path}/reject", {"note": "too often"}, 200)
    assert (rejected["approval"], rejected["paused_note"]) == ("rejected", "rejected: too often")
    assert api.get("/approvals")["items"] == []
    assert "rejected" in own.refused(409, "POST", f"{path}/resume")["detail"]
    asked = own.patch(path, {"config": {"minutes": 600}})
    assert (asked["approval"], asked["paused_note"]) == ("awaiting", "awaiting approval")
    assert api.post(f"{path}/approve", None, 200)["is_enabled"] is True


def test_what_was_approved_is_what_runs(api: Api, own: Caller) -> None:
    """A change by the agent requires a new approval; one by a person does not."""
    path = f"/triggers/{make(own)['id']}"
    api.post(f"{path}/approve", None, 200)
    assert api.patch(path, {"reason": "as I like it"})["is_enabled"] is True
    changed = own.patch(path, {"config": {"minutes": 1}})
    assert (changed["is_enabled"], changed["approval"], changed["next_fire_at"]) == (False, "awaiting", None)
    api.post(f"{path}/approve", None, 200)
    assert own.patch(path, {"is_enabled": False})["approval"] == "approved"
    assert own.patch(path, {"is_enabled": True})["is_enabled"] is True


def test_nothing_is_approved_unseen(api: Api, own: Caller) -> None:
    """The agent may have changed its request between the person's look and the approval."""
    made = make(own)
    path = f"/triggers/{made['id']}"
    changed = own.patch(path, {"config": {"minutes": 1}})
    problem = api.refused(409, "POST", f"{path}/approve", {"updated_at": made["updated_at"]})
    assert "review it again" in problem["detail"]
    api.refused(422, "POST", f"{path}/approve", {"updated_at": "yesterday"})
    assert api.post(f"{path}/approve", {"updated_at": changed["updated_at"]}, 200)["is_enabled"] is True


def test_a_granted_trigger_needs_no_approval_until_the_agent_changes_it(api: Api, own: Caller) -> None:
    agent_id = own.get("/agents")["items"][0]["id"]
    made = api.trigger(agent_id, managed_by_agent=True)
    assert (made["is_enabled"], made["approval"]) == (True, None)
    assert own.patch(f"/triggers/{made['id']}", {"reason": "mine now"})["approval"] == "awaiting"


def test_waiting_triggers_count_for_the_limit_and_approving_counts_once(api: Api) -> None:
    agent = api.agent("ada", approve_triggers=True, max_triggers=2)
    own = api.with_key(f"agent:{agent['id']}")
    one, two = make(own, "one"), make(own, "two")
    own.refused(409, "POST", f"/agents/{agent['id']}/triggers", trigger_body("three"))
    for made in (one, two):
        assert api.post(f"/triggers/{made['id']}/approve", None, 200)["is_enabled"] is True


def test_an_agents_own_key_has_the_limits_of_its_tools(api: Api) -> None:
    agent = api.agent("ada")
    own = api.with_key(f"agent:{agent['id']}")
    path = f"/agents/{agent['id']}/triggers"
    made = own.post(path, trigger_body("tick"))
    assert (made["is_enabled"], made["max_fires"]) == (True, 100)
    week = datetime.now(UTC) + timedelta(days=7)  # noqa: TID251
    assert abs(datetime.fromisoformat(made["expires_at"]) - week) < timedelta(minutes=1)
    assert own.refused(422, "POST", path, trigger_body("x", max_fires=101))["field"] == "max_fires"
    assert own.refused(422, "POST", path, trigger_body("x", config={"seconds": 1}))["field"] == "config"
    limitless = {"max_fires": None, "expires_at": None}
    changed = own.patch(f"/triggers/{made['id']}", limitless)
    assert changed["max_fires"] == 100 and changed["expires_at"]
    assert api.patch(f"/triggers/{made['id']}", limitless)["max_fires"] is None


def test_approvals_of_other_tenants_and_agents_are_not_there(api: Api, own: Caller) -> None:
    made = make(own)
    rival = api.with_key("admin", tenant_id=api.tenant("rival"))
    assert rival.get("/approvals")["items"] == []
    for verb in ("approve", "reject"):
        rival.refused(404, "POST", f"/triggers/{made['id']}/{verb}")
    stranger = api.with_key(f"agent:{api.agent('bob')['id']}")
    assert stranger.get("/approvals")["items"] == []
