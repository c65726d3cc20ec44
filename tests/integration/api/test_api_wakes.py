"""Wakes, heartbeats and follow-ups through the API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from scheduler.domain.clock import SystemClock
from scheduler.domain.run import Replied
from scheduler.manage.agents.heartbeat import DEFAULT_INSTRUCTION
from tests.support.api import Api, trigger_body
from tests.support.invocations import close, end, start

NOBODY = "00000000-0000-7000-8000-0000000000ff"


def test_a_call_answers_its_firing_and_its_trigger_is_in_no_list(api: Api) -> None:
    """202 with firing and invocation; the system trigger is shown by its id, and can only be paused, not deleted."""
    ada = api.agent()
    woken = api.post(f"/agents/{ada['id']}/wake", {"message": "look at this"}, 202)
    firing = api.get(f"/firings/{woken['firing_id']}")
    assert (firing["invocation_id"], firing["trigger_type"]) == (woken["invocation_id"], "wake")
    assert firing["data"]["messages"][0]["text"] == "look at this"
    assert api.get("/triggers")["items"] == []
    path = f"/triggers/{firing['trigger_id']}"
    assert api.get(path)["is_system"] is True
    api.refused(409, "DELETE", path)
    assert api.refused(422, "PATCH", path, {"name": "mine"})["field"] == "name"
    assert api.patch(path, {"reason": "Somebody needs you."})["reason"] == "Somebody needs you."
    api.post(f"{path}/pause", None, 200)
    api.refused(409, "POST", f"/agents/{ada['id']}/wake", {"message": "x"})


def test_nobody_else_makes_a_trigger_of_the_systems_type(api: Api) -> None:
    """Its name is free, though: the system's own trigger exists beside it."""
    ada = api.agent(max_triggers=1)
    path = f"/agents/{ada['id']}/triggers"
    assert api.refused(422, "POST", path, trigger_body(type="wake", config={}))["field"] == "type"
    api.post(path, trigger_body("wake"))
    api.post(f"/agents/{ada['id']}/wake", {"message": "x"}, 202)
    assert [each["name"] for each in api.get("/triggers")["items"]] == ["wake"]


def test_an_agent_that_fires_its_own_trigger_in_each_run_is_stopped(api: Api) -> None:
    """With its own key; a person's firing starts a new chain."""
    ada = api.agent(dedup_delay_seconds=0)
    own = api.with_key(f"agent:{ada['id']}")
    path = f"/triggers/{api.trigger(ada['id'])['id']}/fire"
    fired = api.post(path, None, 202)
    for depth in range(6):
        assert api.get(f"/firings/{fired['firing_id']}")["depth"] == depth
        [invocation_id] = close(api.db).ready
        claimed = start(api.db, invocation_id)
        if depth < 5:
            fired = own.post(path, None, 202)
            end(api.db, claimed, Replied("done"))
    assert "The loop: ada → ada." in own.refused(429, "POST", path)["detail"]
    fired = api.post(path, None, 202)
    assert api.get(f"/firings/{fired['firing_id']}")["depth"] == 0


def test_an_agents_key_calls_as_its_agent_and_the_fourth_call_is_429(api: Api) -> None:
    """With Retry-After, counted in the database."""
    ada = api.agent(dedup_delay_seconds=0)
    key = api.with_key(f"agent:{ada['id']}")
    path = f"/agents/{ada['id']}/wake"
    for _ in range(3):
        key.post(path, {"message": "again"}, 202)
        with api.db.begin() as conn:
            conn.execute(text("UPDATE invocations SET state = 'succeeded'"))
    response = key.call("POST", path, {"message": "again"})
    assert response.status_code == 429
    assert 290 <= int(response.headers["Retry-After"]) <= 300
    assert response.json is not None and response.json["type"] == "urn:reveille:problem:limit-reached"
    refused = api.get("/audit", action="agent.wake_refused")["items"]
    assert [each["detail"]["from_agent_id"] for each in refused] == [ada["id"]]
    api.post(path, {"message": "a person may"}, 202)


def test_an_invalid_call_is_refused(api: Api) -> None:
    """Each with the wrong field."""
    path = f"/agents/{api.agent()['id']}/wake"
    wrong: list[tuple[dict[str, object], str]] = [
        ({}, "message"),
        ({"message": ""}, "message"),
        ({"message": "x" * 65_537}, "message"),
        ({"message": "x", "from_agent_id": NOBODY}, "from_agent_id"),
        ({"message": "x", "from_agent_id": "ada"}, "from_agent_id"),
        ({"message": "x", "skip_dedup": 1}, "skip_dedup"),
        ({"message": "x", "depth": 0}, "depth"),
    ]
    for body, field in wrong:
        assert api.refused(422, "POST", path, body)["field"] == field, body
    api.refused(404, "POST", f"/agents/{NOBODY}/wake", {"message": "x"})


def test_a_heartbeat_is_a_system_trigger_that_is_changed_and_paused_but_not_deleted(api: Api) -> None:
    """PUT creates it and replaces it; it counts for no limit."""
    ada = api.agent(timezone="Europe/Berlin", max_triggers=0)
    path = f"/agents/{ada['id']}/heartbeat"
    api.patch(f"/tenants/{ada['tenant_id']}", {"min_heartbeat_interval": 30})
    made = api.ok(api.call("PUT", path, {}), 200)
    assert (made["name"], made["type"], made["is_system"], made["is_enabled"]) == (
        "heartbeat",
        "interval",
        True,
        True,
    )
    assert (made["config"], made["reason"]) == ({"minutes": 240.0}, DEFAULT_INSTRUCTION)
    wanted = {"minutes": 60, "only_between": "09:00-18:00", "instruction": "Look at the inbox."}
    changed = api.ok(api.call("PUT", path, wanted), 200)
    assert changed["id"] == made["id"]
    assert (changed["config"], changed["reason"]) == (
        {"minutes": 60.0, "only_between": "09:00-18:00"},
        "Look at the inbox.",
    )
    assert changed["timezone"] == "Europe/Berlin"
    fire_times = api.get(f"/triggers/{made['id']}/preview", count=20)["fire_times"]
    assert {datetime.fromisoformat(each).hour for each in fire_times} <= set(range(9, 18))
    assert api.ok(api.call("PUT", path, wanted), 200) == changed
    assert api.ok(api.call("PUT", path, {"enabled": False}), 200)["is_enabled"] is False
    assert api.get(f"/triggers/{made['id']}")["config"] == {"minutes": 240.0}
    api.refused(409, "DELETE", f"/triggers/{made['id']}")
    key = api.with_key(f"agent:{ada['id']}")
    key.refused(403, "POST", f"/triggers/{made['id']}/resume")
    key.refused(403, "PATCH", f"/triggers/{made['id']}", {"reason": "mine"})
    assert key.get(f"/triggers/{made['id']}")["is_system"] is True
    resumed = api.post(f"/triggers/{made['id']}/resume", None, 200)
    assert datetime.fromisoformat(resumed["next_fire_at"]) > SystemClock().now()
    assert [each["id"] for each in api.get("/triggers")["items"]] == [made["id"]]
    api.delete(f"/agents/{ada['id']}")
    api.refused(404, "GET", f"/triggers/{made['id']}")


def test_an_invalid_heartbeat_is_refused(api: Api) -> None:
    """Each with the wrong field."""
    path = f"/agents/{api.agent()['id']}/heartbeat"
    for body, field in (
        ({"minutes": 0}, "minutes"),
        ({"minutes": "60"}, "minutes"),
        ({"only_between": "9-18"}, "only_between"),
        ({"only_between": "09:00-09:00"}, "only_between"),
        ({"instruction": ""}, "instruction"),
        ({"seconds": 60}, "seconds"),
    ):
        assert api.refused(422, "PUT", path, body)["field"] == field, body
    api.refused(404, "PUT", f"/agents/{NOBODY}/heartbeat", {})


def test_follow_ups_are_found_by_what_they_belong_to_and_ended_together(api: Api) -> None:
    """One call ends them with a note; what they recorded stays, other follow-ups continue."""
    ada, bob = api.agent("ada"), api.agent("bob")
    ref = "project:x/offer 7"
    first, second = (api.trigger(ada["id"], name, focus_ref=ref) for name in ("first", "second"))
    other = api.trigger(ada["id"], "other", focus_ref="project:y")
    elsewhere = api.trigger(bob["id"], "elsewhere", focus_ref=ref)
    plain = api.trigger(ada["id"], "plain")
    api.post(f"/triggers/{first['id']}/fire", None, 202)
    path = f"/agents/{ada['id']}"
    found = api.get(f"{path}/triggers", focus_ref=ref)["items"]
    assert [each["id"] for each in found] == [second["id"], first["id"]]
    assert api.get(f"{path}/focus")["items"] == [
        {"focus_ref": ref, "triggers": 2, "enabled": 2},
        {"focus_ref": "project:y", "triggers": 1, "enabled": 1},
    ]
    ended = api.post(f"{path}/focus/{ref}/resolve", None, 200)["items"]
    assert [(each["id"], each["is_enabled"], each["paused_note"], each["next_fire_at"]) for each in ended] == [
        (second["id"], False, "resolved", None),
        (first["id"], False, "resolved", None),
    ]
    assert api.post(f"{path}/focus/{ref}/resolve", None, 200)["items"] == ended
    assert api.get(f"{path}/focus")["items"][0] == {"focus_ref": ref, "triggers": 2, "enabled": 0}
    for each in (other, elsewhere, plain):
        assert api.get(f"/triggers/{each['id']}")["is_enabled"] is True
    assert len(api.get("/audit", action="trigger.resolved")["items"]) == 2
    assert api.get("/firings")["items"][0]["state"] == "pending"
    assert api.post(f"/triggers/{first['id']}/resume", None, 200)["is_enabled"] is True
    for gone in (f"{path}/focus/unknown/resolve", f"/agents/{NOBODY}/focus/{ref}/resolve"):
        api.refused(404, "POST", gone)
