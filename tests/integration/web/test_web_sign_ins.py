"""Sessions that end: unsent input is kept, current sign-ins are listed, and events are audited."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from api.web.session import COOKIE
from scheduler.storage.web_sessions import live_sessions
from tests.integration.web.test_web_sign_in import PASSWORD, make_user
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.pages import Browser, signed_in


def test_what_was_typed_outlives_the_session(api: Api) -> None:
    agent_id = api.agent("ada")["id"]
    browser = signed_in(api)
    typed = {"type": "cron", "agent_id": agent_id, "name": "mornings", "config.expr": "0 9 * * *"}
    typed["reason"] = "a\r\nb <c>"
    token = browser.token("/triggers/new?type=cron")
    change(api.db, "DELETE FROM web_sessions")
    sent = browser.client.post("/triggers/new", data={"csrf": token, **typed})
    assert sent.status_code == 307
    door = browser.client.post(sent.location, data={"csrf": token, **typed})
    assert "what you typed is kept" in door.text
    assert "mornings" not in door.text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', door.text))
    wrong = browser.client.post("/sign-in", data={**fields, "key": "rvl_wrong"})
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', wrong.text))
    entered = browser.client.post("/sign-in", data={**fields, "key": api.headers["Authorization"].split()[1]})
    again = {
        name: html.unescape(value) for name, value in re.findall(r'name="([\w.]+)" value="([^"]*)"', entered.text)
    }
    assert 'action="/triggers/new"' in entered.text
    form = browser.client.post("/triggers/new", data=again)
    assert form.status_code == 200
    assert 'value="mornings"' in form.text
    assert 'value="0 9 * * *"' in form.text
    assert "a\nb &lt;c&gt;" in form.text.replace("\r", "")
    assert api.get("/triggers")["items"] == []


@pytest.mark.parametrize("kept", ["x", "gAAAAA", "\u20ac"])
def test_an_invalid_kept_form_is_ignored(api: Api, kept: str) -> None:
    browser = Browser(api)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', browser.get("/sign-in")))
    sent = {**fields, "kept": kept, "key": api.headers["Authorization"].split()[1]}
    assert browser.client.post("/sign-in", data=sent).status_code == 303


def events(api: Api, action: str) -> list[Any]:
    return [
        each
        for each in rows(api.db, "SELECT action, actor, detail FROM audit_events ORDER BY id")
        if each.action == action
    ]


def test_failed_sign_ins_wrong_keys_and_sign_outs_leave_their_address_in_few_events(api: Api) -> None:
    browser = Browser(api)
    for _ in range(5):
        browser.sign_in(name="nobody", password="wrong")
    found = events(api, "session.refused")
    assert [(each.actor, each.detail["attempts"]) for each in found] == [("address:127.0.0.1", 1)]
    for _ in range(5):
        api.app.test_client().get("/api/v1/agents", headers={"Authorization": "Bearer rvl_wrong"})
    assert [each.detail["address"] for each in events(api, "key.refused")] == ["127.0.0.1"]
    browser = signed_in(api)
    browser.post("/sign-out")
    (ended,) = events(api, "session.ended")
    assert (ended.actor, ended.detail["address"]) == ("key:operator", "127.0.0.1")


def test_sessions_are_listed_and_ended(api: Api) -> None:
    make_user(api, scope="read")
    grace, other = Browser(api), Browser(api)
    for each in (grace, other):
        assert each.sign_in(name="grace", password=PASSWORD).status_code == 303
    admin = signed_in(api)
    page = grace.get("/settings/sign-ins")
    assert page.count("/end") == 2
    assert "operator" not in page
    ids = re.findall(r"/settings/sign-ins/(\w+)/end", admin.get("/settings/sign-ins"))
    assert len(ids) == 3
    mine = set(ids) - set(re.findall(r"/settings/sign-ins/(\w+)/end", page))
    assert grace.post(f"/settings/sign-ins/{mine.pop()}/end").status_code == 404
    for each in re.findall(r"/settings/sign-ins/(\w+)/end", page):
        assert admin.post(f"/settings/sign-ins/{each}/end").status_code == 303
    assert other.client.get("/triggers").status_code == 303


def test_the_sign_ins_of_a_key_that_has_expired_are_over(api: Api) -> None:
    key = api.post("/api-keys", {"name": "for a day", "scopes": ["read"]})["key"]
    browser, operator = signed_in(api, key), signed_in(api)
    token = browser.client.get_cookie(COOKIE)
    assert token is not None
    assert "the session of for a day" in operator.get("/settings/sign-ins")
    with api.db.begin() as conn:
        assert live_sessions(conn, [token.value]) == {token.value}
    change(api.db, "UPDATE api_keys SET expires_at = clock_timestamp() WHERE name = 'for a day'")
    assert "the session of for a day" not in operator.get("/settings/sign-ins")
    with api.db.begin() as conn:
        assert live_sessions(conn, [token.value]) == set()
