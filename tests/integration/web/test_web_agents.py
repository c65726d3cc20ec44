"""The pages for setting up agents: agents, approvals, keys, limits and models."""

from __future__ import annotations

import re

import pytest

from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.invocations import bring_to, make_agent_with_trigger
from tests.support.pages import signed_in


def test_agents_are_listed_with_their_status(api: Api) -> None:
    woken = make_agent_with_trigger(api.db, "ada")
    invocation = bring_to(api.db, woken, InvocationState.DEAD)
    api.agent("bob")
    browser = signed_in(api)
    listed = browser.get("/agents")
    assert "1 of 1" in listed
    assert f"/invocations/{invocation}" in listed
    assert "never woken" in listed
    found = browser.get("/agents", q="BO")
    assert ">bob<" in found
    assert ">ada<" not in found


def test_an_agent_is_paused_with_a_note_resumed_and_woken(api: Api) -> None:
    agent = api.agent("ada")
    browser = signed_in(api)
    path = f"/agents/{agent['id']}"
    assert browser.post(f"{path}/pause", note="moving <house>").status_code == 303
    assert "moving &lt;house&gt;" in browser.get(path)
    assert api.get(path)["paused_note"] == "moving <house>"
    assert browser.post(f"{path}/resume").status_code == 303
    assert api.get(path)["is_paused"] is False
    woken = browser.post(f"{path}/wake", message="look at the disk")
    assert woken.status_code == 303
    assert "look at the disk" in browser.get(woken.location)
    assert browser.post(f"{path}/wake", message="").status_code == 422


def test_an_agents_notes_are_seen_and_corrected_on_its_page(api: Api) -> None:
    agent = api.agent("ada")
    path, browser = f"/agents/{agent['id']}", signed_in(api)
    assert browser.post(f"{path}/notes", text="tea & <b>").status_code == 303
    assert "tea &amp; &lt;b&gt;" in browser.get(path)
    assert api.get(f"{path}/notes")["text"] == "tea & <b>"
    assert browser.post(f"{path}/notes", text="").status_code == 303
    assert api.get(f"{path}/notes")["text"] == ""


def test_an_agents_triggers_are_grouped_by_what_they_belong_to(api: Api) -> None:
    agent = api.agent("ada")
    for name, focus in (("alone", None), ("a1", "order 7"), ("a2", "order 7")):
        api.trigger(agent["id"], name, focus_ref=focus)
    page = signed_in(api).get(f"/agents/{agent['id']}")
    assert len(re.findall(r"<h3[^>]*>order 7<", page)) == 1
    assert page.index("order 7<") < page.index(">a1<") < page.index(">a2<") < page.index(">alone<")
    assert "Tokens today" in page


def test_an_agent_is_made_by_a_form_for_its_runtime(api: Api) -> None:
    browser = signed_in(api)
    assert browser.post("/agents/new", kind="command", name="ada", command="echo").status_code == 303
    http = {"kind": "http", "name": "bob", "url": "https://agent.example.org/wake", "dedup_delay_seconds": "2.5"}
    made = browser.post("/agents/new", **http)
    assert made.status_code == 201
    assert "whsec_" in made.text
    bob, ada = api.get("/agents")["items"]
    assert (ada["runtime"], bob["dedup_delay_seconds"]) == ({"kind": "command", "name": "echo"}, 2.5)
    assert "whsec_" not in browser.get(f"/agents/{bob['id']}")


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"kind": "http", "name": "", "url": "https://agent.example.org"}, "e-name"),
        ({"kind": "http", "name": "x", "url": "http://127.0.0.1/"}, "e-url"),
        ({"kind": "http", "name": "x"}, "e-url"),
        ({"kind": "command", "name": "x", "command": "rm"}, "e-command"),
        ({"kind": "a2a", "name": "x", "url": "ftp://x"}, "e-url"),
        ({"kind": "http", "name": "x", "url": "https://agent.example.org", "timezone": "Mars"}, "e-timezone"),
    ],
)
def test_errors_of_a_new_agent_are_shown_at_their_fields(shared: Api, form: dict[str, str], wrong: str) -> None:
    answer = signed_in(shared).post("/agents/new", **form)
    assert answer.status_code == 422
    assert f'id="{wrong}"' in answer.text
    assert shared.get("/agents")["items"] == []


def test_a_trigger_of_an_agents_is_approved_or_rejected(api: Api) -> None:
    agent = api.agent("ada")
    ids = [api.trigger(agent["id"], name)["id"] for name in ("one", "two")]
    change(api.db, "UPDATE triggers SET approval = 'awaiting', is_enabled = false")
    browser = signed_in(api)
    page = browser.get("/approvals")
    assert ">one<" in page
    assert ">two<" in page
    browser.post(f"/triggers/{ids[0]}/approve")
    browser.post(f"/triggers/{ids[1]}/reject", note="too often")
    assert "No pending approvals" in browser.get("/approvals")
    assert api.get(f"/triggers/{ids[0]}")["is_enabled"] is True
    assert api.get(f"/triggers/{ids[1]}")["paused_note"] == "rejected: too often"


def test_a_key_is_made_shown_once_and_revoked(api: Api) -> None:
    browser = signed_in(api)
    made = browser.post("/settings/keys", name="laptop", scope="read")
    assert made.status_code == 201
    key = re.search(r"rvl_[\w-]+", made.text)
    assert key
    assert key[0] not in browser.get("/settings")
    assert api.as_(key[0]).get("/agents")["items"] == []
    [row] = rows(api.db, "SELECT id FROM api_keys WHERE name = 'laptop'")
    browser.post(f"/settings/keys/{row.id}/revoke")
    api.as_(key[0]).refused(401, "GET", "/agents")
    wrong = browser.post("/settings/keys", name="", scope="read")
    assert wrong.status_code == 422
    assert 'aria-invalid="true"' in wrong.text
    nobodys = browser.post("/settings/keys", name="x", scope="read", agent_id=str(new_id()))
    assert nobodys.status_code == 422


def test_an_operator_changes_the_limits_and_is_told_what_is_wrong(api: Api) -> None:
    browser = signed_in(api)
    good = {"timezone": "Europe/Berlin", "default_max_triggers": "7"}
    assert browser.post("/settings/limits", **good).status_code == 303
    [tenant] = rows(api.db, "SELECT timezone, default_max_triggers FROM tenants")
    assert tuple(tenant) == ("Europe/Berlin", 7)
    assert browser.post("/settings/limits", max_tokens_per_day="5000").status_code == 303
    assert rows(api.db, "SELECT max_tokens_per_day FROM tenants")[0][0] == 5000
    assert browser.post("/settings/limits", max_tokens_per_day="").status_code == 303
    assert rows(api.db, "SELECT max_tokens_per_day FROM tenants")[0][0] is None
    wrong = browser.post("/settings/limits", timezone="Mars/Base", default_max_triggers="7")
    assert wrong.status_code == 422
    assert "e-timezone" in wrong.text


def test_a_model_is_made_disabled_and_deleted_and_its_key_is_shown_to_nobody(api: Api) -> None:
    browser = signed_in(api)
    form = {"name": "small", "provider": "openai", "model": "gpt-x", "key": "sk-very-secret", "input_price": "0.5"}
    assert browser.post("/settings/models", **form).status_code == 303
    page = browser.get("/settings/models")
    assert "gpt-x" in page
    assert "0.5" in page
    assert "sk-very-secret" not in page
    wrong = browser.post("/settings/models", **{**form, "name": "other", "provider": "openai-compatible"})
    assert wrong.status_code == 422
    assert "e-base_url" in wrong.text
    assert "sk-very-secret" not in wrong.text
    [model] = api.get("/models")["items"]
    browser.post(f"/settings/models/{model['id']}/enable", on="0")
    assert api.get(f"/models/{model['id']}")["is_enabled"] is False
    stranger = signed_in(api, api.with_key("write", tenant_id=api.tenant("strangers")).key)
    assert "gpt-x" not in stranger.get("/settings/models")
    assert stranger.post(f"/settings/models/{model['id']}/delete").status_code == 404
    browser.post(f"/settings/models/{model['id']}/delete")
    assert api.get("/models")["items"] == []


def test_a_notification_target_is_made_tried_and_deleted_and_its_address_is_shown_to_nobody(api: Api) -> None:
    agent = api.agent("ada")
    browser = signed_in(api)
    form = {"name": "pager", "kind": "webhook", "url": "https://192.0.2.1.invalid/secret-path"}
    made = browser.post(f"/agents/{agent['id']}/notifications", **form)
    assert made.status_code == 201
    assert "whsec_" in made.text
    listed = browser.get("/settings/notifications", agent_id=agent["id"])
    assert "192.0.2.1.invalid" in listed
    assert "secret-path" not in listed
    assert "whsec_" not in listed
    assert browser.post(f"/agents/{agent['id']}/notifications", **{**form, "kind": "pigeon"}).status_code == 422
    assert browser.post(f"/agents/{agent['id']}/notifications", **{**form, "name": ""}).status_code == 422
    [target] = api.get(f"/agents/{agent['id']}/notification-targets")["items"]
    tried = browser.post(f"/settings/notifications/{target['id']}/test", agent_id=agent["id"])
    assert "The test was not delivered" in browser.get(tried.location)
    stranger = signed_in(api, api.with_key("write", tenant_id=api.tenant("strangers")).key)
    assert "pager" not in stranger.get("/settings/notifications")
    stranger.get("/settings/notifications", 404, agent_id=agent["id"])
    for action in ("test", "delete"):
        assert stranger.post(f"/settings/notifications/{target['id']}/{action}").status_code == 404
    browser.post(f"/settings/notifications/{target['id']}/delete")
    assert "No targets yet" in browser.get("/settings/notifications")
