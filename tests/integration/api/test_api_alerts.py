"""Alerts in the API, on the pages and in the badge."""

from __future__ import annotations

import re

from scheduler.alerts.watch import Watch
from tests.support.alerts import up_for_an_hour
from tests.support.api import Api
from tests.support.database import change
from tests.support.pages import signed_in


def open_one(api: Api) -> str:
    """Opens an alert about an agent that was not woken."""
    agent = str(api.agent("ada", expect_wake_within="1m")["id"])
    change(api.db, "UPDATE agents SET expected_since = now() - interval '1 hour'")
    change(api.db, "INSERT INTO scheduler_processes (id, name) VALUES (gen_random_uuid(), 'here')")
    up_for_an_hour(api.db)
    change(api.db, "UPDATE watch SET last_heartbeat_at = now()")
    Watch(api.db).look()
    return agent


def test_alerts_are_listed_muted_and_shown_by_a_badge(api: Api) -> None:
    agent = open_one(api)
    [alert] = api.get("/alerts", open="true")["items"]
    assert (alert["rule"], alert["subject_id"], alert["subject_name"]) == ("agent_asleep", agent, "ada")
    assert re.fullmatch(
        r"It has not been woken in the last 1 h( \d+ s)?; expected within 1 min\.", alert["reason"]
    )
    assert alert["advice"]
    assert api.get("/alerts", open="false")["items"] == []
    address = api.post("/alerts/badge")["url"]
    picture = api.app.test_client().get(address[address.index("/badge/") :])
    assert (picture.status_code, picture.content_type) == (200, "image/svg+xml")
    assert "Reveille: 1 alert<" in picture.text
    assert api.app.test_client().get("/badge/unknown.svg").status_code == 404
    api.delete("/alerts/badge")
    assert api.app.test_client().get(address[address.index("/badge/") :]).status_code == 404
    mute = api.post("/alerts/mutes", {"subject_id": agent, "until": "2040-01-01"})
    assert api.get("/alerts/mutes")["items"] == [mute]
    api.delete(f"/alerts/mutes/{mute['id']}")
    assert api.get("/alerts/mutes")["items"] == []


def test_mutes_show_whom_they_mute_by_name(api: Api) -> None:
    agent = api.agent("ada")["id"]
    trigger = api.trigger(agent, name="tick")["id"]
    tenant = api.get("/tenants")["items"][0]["id"]
    for subject in (agent, trigger, tenant, "00000000-0000-0000-0000-000000000000"):
        api.post("/alerts/mutes", {"subject_id": subject})
    api.post("/alerts/mutes", {"rule": "agent_asleep"})
    api.delete(f"/agents/{agent}")
    muted = [(each["subject_kind"], each["subject_name"]) for each in api.get("/alerts/mutes")["items"]]
    assert muted == [
        (None, None),
        ("service", "the service"),
        ("tenant", "default"),
        ("trigger", "ada/tick"),
        ("agent", "ada"),
    ]
    page = signed_in(api).get("/alerts")
    assert [f">{name}</bdi></a>" in page for name in ("ada", "ada/tick")] == [True, True]
    assert agent not in page.replace(f"/agents/{agent}", "")


def test_a_page_without_alerts_says_when_one_opens_and_who_is_told(api: Api) -> None:
    page = signed_in(api).get("/alerts")
    assert "No alert is open" in page
    assert 'href="/settings/notifications">notification targets</a>' in page


def test_an_operator_sees_trouble_of_the_service(api: Api) -> None:
    address = api.post("/alerts/badge")["url"]
    change(api.db, "UPDATE watch SET looked_at = now(), since = now() - interval '1 hour'")
    Watch(api.db).look()
    rules = {each["rule"] for each in api.get("/alerts", open="true")["items"]}
    assert rules == {"scheduler_stale", "worker_stale"}
    assert "Reveille: 2 alerts<" in api.app.test_client().get(address[address.index("/badge/") :]).text
    api.post("/pause", {"everything": True}, 200)
    assert "Reveille: paused<" in api.app.test_client().get(address[address.index("/badge/") :]).text
    assert 'Alerts <span class="count">2</span>' in signed_in(api).get("/alerts")


def test_invalid_requests_are_explained(api: Api) -> None:
    for wrong in ({}, {"rule": "nothing"}, {"subject_id": "x"}, {"rule": "agent_asleep", "until": "soon"}):
        api.refused(422, "POST", "/alerts/mutes", wrong)
    unknown = {"subject_id": "01a22600-0000-7000-8000-000000000000"}
    assert "There is no agent or trigger" in api.refused(422, "POST", "/alerts/mutes", unknown)["detail"]
    api.post("/alerts/mutes", {"subject_id": "00000000-0000-0000-0000-000000000000"})
    api.refused(404, "DELETE", "/alerts/mutes/01a22600-0000-7000-8000-000000000000")
    for within in ("soon", "0", 0, -1, "5 minutes", 1e12, True):
        api.refused(
            422, "POST", "/agents", {"name": "x", "runtime": {"kind": "log"}, "expect_wake_within": within}
        )
    agent = api.agent("bob")["id"]
    made = api.trigger(agent, expect_within="1.5h", expect="success")
    api.post("/alerts/mutes", {"subject_id": made["id"]})
    assert (made["expect_within"], made["expect"]) == (5400.0, "success")
    assert api.patch(f"/triggers/{made['id']}", {"expect_within": None})["expect_within"] is None
    api.refused(422, "PATCH", f"/triggers/{made['id']}", {"expect": "miracles"})
    [tenant] = api.get("/tenants")["items"]
    api.refused(422, "PATCH", f"/tenants/{tenant['id']}", {"alert_quiet_hours": "at night"})
    changed = {"alert_quiet_hours": "22:00-07:00", "alert_remind_minutes": 60}
    assert api.patch(f"/tenants/{tenant['id']}", changed).items() >= changed.items()


def test_the_page_shows_them_and_the_navigation_counts_them(api: Api) -> None:
    open_one(api)
    browser = signed_in(api)
    page = browser.get("/alerts")
    assert re.search(r"It has not been woken in the last 1 h( \d+ s)?; expected within 1 min\.", page)
    assert 'href="/alerts" aria-current="page">Alerts <span class="count">1</span>' in page
    [alert] = api.get("/alerts")["items"]
    browser.post("/alerts/mutes", rule=alert["rule"], subject_id=alert["subject_id"])
    assert "End the mute" in browser.get("/alerts")
    [mute] = api.get("/alerts/mutes")["items"]
    browser.post(f"/alerts/mutes/{mute['id']}/end")
    assert "End the mute" not in browser.get("/alerts")
