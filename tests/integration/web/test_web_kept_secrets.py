"""Secrets that were typed into a form that is shown again: sealed in the page, put back, and nobody else's."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.services import EXTENSION
from api.web.forms.kept_secrets import LIFETIME
from scheduler.domain.clock import SystemClock
from tests.integration.web.test_web_triggers import shown
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.pages import Browser, signed_in

SECRET = "aHVzaCwgb2YgdGhlIHNlbmRlciBvbmx5"
LOST = "This was not kept: type it again."
POLL = {"type": "poll", "name": "p", "config.url": "https://example.org/", "config.headers": f"X-Key: {SECRET}"}
WRONG = {"max_fires": "-1"}


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada")["id"])


def again(response: Any, **changed: str) -> dict[str, Any]:
    """Returns what a browser would send from a page that was shown again, after changes."""
    assert response.status_code == 422, response.text
    assert SECRET not in response.text
    fields = fields_of(response.text)
    fields.pop("do", None)
    return fields | changed


def fields_of(page: str) -> dict[str, Any]:
    """Returns what a browser would send from the unchanged form of a page."""
    form = re.search(r'<form class="card".*?</form>', page, re.DOTALL)
    assert form
    return shown(form[0])


def errors(page: str) -> dict[str, str]:
    return {name: html.unescape(text) for name, text in re.findall(r'id="e-([^"]+)">([^<]+)</p>', page)}


def stored(api: Api) -> str:
    """Returns the secrets of the only trigger of a person, in clear."""
    (row,) = rows(api.db, "SELECT secret FROM triggers WHERE NOT is_system")
    return api.services.box.decrypt(bytes(row.secret))


def test_a_kept_secret_is_replaced_by_another_and_forgotten_on_request(
    api: Api, browser: Browser, agent_id: str
) -> None:
    sent = again(browser.post("/triggers/new", agent_id=agent_id, **POLL, **WRONG), max_fires="")
    assert browser.post("/triggers/new", **sent | {"config.headers": "X-Key: other"}).status_code == 303
    assert "other" in stored(api)
    assert SECRET not in stored(api)
    change(api.db, "DELETE FROM triggers")
    assert browser.post("/triggers/new", **sent, **{"forget:config.headers": "1"}).status_code == 303
    assert rows(api.db, "SELECT secret FROM triggers WHERE NOT is_system")[0].secret is None


@pytest.mark.parametrize(
    "moved",
    [
        {"type": "calendar", "config.url": "https://example.org/x.ics"},
        {"kept:config.headers": "gAAAAA"},
        {"kept:config.headers": "\u20ac"},
    ],
)
def test_what_was_kept_for_another_form_or_by_nobody_is_refused(
    api: Api, browser: Browser, agent_id: str, moved: dict[str, str]
) -> None:
    sent = again(browser.post("/triggers/new", agent_id=agent_id, **POLL, **WRONG), max_fires="") | moved
    refused = browser.post("/triggers/new", **sent)
    assert refused.status_code == 422
    assert errors(refused.text) == {"config.headers": LOST}
    assert api.get("/triggers")["items"] == []


def test_what_was_kept_for_another_input_or_session_is_refused(api: Api, browser: Browser, agent_id: str) -> None:
    mail = {"type": "email", "name": "m", "config.host": "imap.example.org", "config.username": "u"}
    refused = browser.post("/triggers/new", agent_id=agent_id, **mail, **WRONG, **{"config.password": SECRET})
    sent = again(refused, max_fires="")
    moved = sent | {"kept:config.token": sent["kept:config.password"], "kept:config.password": ""}
    assert errors(browser.post("/triggers/new", **moved).text) == {"config.token": LOST}
    assert errors(signed_in(api).post("/triggers/new", **sent).text) == {"config.password": LOST}
    assert browser.post("/triggers/new", **sent).status_code == 303


def test_what_was_kept_too_long_is_refused_but_not_what_is_typed_again(
    api: Api, browser: Browser, agent_id: str
) -> None:
    class Later(SystemClock):
        def now(self) -> datetime:
            return super().now() + LIFETIME + timedelta(seconds=1)

    sent = again(browser.post("/triggers/new", agent_id=agent_id, **POLL, **WRONG), max_fires="")
    api.app.extensions[EXTENSION] = replace(api.services, clock=Later())
    assert errors(browser.post("/triggers/new", **sent).text) == {"config.headers": LOST}
    assert browser.post("/triggers/new", **sent | {"config.headers": f"X-Key: {SECRET}"}).status_code == 303
    assert SECRET in stored(api)


def test_an_edit_keeps_the_stored_secret_and_the_typed_one(api: Api, browser: Browser, agent_id: str) -> None:
    browser.post("/triggers/new", agent_id=agent_id, **POLL | {"config.headers": "X-Key: old"})
    path = f"/triggers/{api.get('/triggers')['items'][0]['id']}/edit"
    fields = shown(browser.get(path))
    sent = again(browser.post(path, **(fields | WRONG)), max_fires="")
    assert not any(name.startswith("kept:") for name in sent)
    assert browser.post(path, **sent).status_code == 303
    assert "old" in stored(api)
    refused = browser.post(path, **(fields | POLL | WRONG))
    assert browser.post(path, **again(refused, max_fires="")).status_code == 303
    assert SECRET in stored(api)


@pytest.mark.parametrize("line", [f"Authorization Bearer {SECRET}", f"Bearer {SECRET}: x", f" {SECRET}\u00e9:x"])
def test_a_wrong_line_of_headers_is_not_repeated(browser: Browser, agent_id: str, line: str) -> None:
    page = browser.post("/triggers/new", agent_id=agent_id, **POLL | {"config.headers": f"X-A: b\n{line}"})
    assert errors(page.text)["config.headers"].startswith("Line 2 is not of the form Name: value")
    assert SECRET not in page.text


def test_the_key_of_a_model_is_kept(api: Api, browser: Browser) -> None:
    form = {"name": "small", "provider": "openai", "model": "gpt-x", "key": SECRET, "input_price": "x"}
    sent = again(browser.post("/settings/models", **form), input_price="1")
    assert browser.post("/settings/models", **sent).status_code == 303
    (row,) = rows(api.db, "SELECT id, key FROM models")
    assert api.services.box.decrypt(bytes(row.key)) == SECRET
    path = f"/settings/models/{row.id}/edit"
    refused = browser.post(path, **form | {"key": SECRET + "2"})
    assert errors(browser.post("/settings/models", **again(refused, name="other", input_price="1")).text) == {
        "key": LOST
    }
    assert browser.post(path, **again(refused, input_price="1")).status_code == 303
    assert api.services.box.decrypt(bytes(rows(api.db, "SELECT key FROM models")[0].key)) == SECRET + "2"


def test_the_address_and_the_secret_of_a_target_are_kept(api: Api, browser: Browser, agent_id: str) -> None:
    path = f"/agents/{agent_id}/notifications"
    url = f"https://192.0.2.1.invalid/{SECRET}"
    sent = again(browser.post(path, name="", kind="webhook", url=url, secret=SECRET), name="pager")
    made = browser.post(path, **sent)
    assert made.status_code == 201
    (row,) = rows(api.db, "SELECT secrets FROM notification_targets")
    assert api.services.box.decrypt(bytes(row.secrets)).count(SECRET) == 2


def test_a_typed_secret_of_an_agent_is_not_shown_when_it_is_made(browser: Browser) -> None:
    form = {"kind": "http", "name": "bell", "url": "https://agent.example.org/", "secret": SECRET}
    assert browser.post("/agents/new", **form).status_code == 303
    made = browser.post("/agents/new", **form | {"name": "other", "secret": ""})
    assert (made.status_code, "Save it now" in made.text) == (201, True)


def test_a_form_that_outlives_its_session_is_in_no_page_in_clear(
    api: Api, browser: Browser, agent_id: str
) -> None:
    token = browser.token()
    change(api.db, "DELETE FROM web_sessions")
    typed = {"csrf": token, "agent_id": agent_id, **POLL}
    sent = browser.client.post("/triggers/new", data=typed)
    door = browser.client.post(sent.location, data=typed)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', door.text))
    key = api.headers["Authorization"].split()[1]
    entered = browser.client.post("/sign-in", data={**fields, "key": key})
    assert SECRET not in door.text + entered.text
    held = dict(re.findall(r'name="([\w.]+)" value="([^"]*)"', entered.text))
    other = signed_in(api)
    stolen = other.post("/triggers/new", again=held["again"], do="keep")
    assert (stolen.status_code, SECRET in stolen.text) == (403, False)
    form = browser.client.post("/triggers/new", data=held)
    assert (form.status_code, SECRET in form.text) == (200, False)
    assert browser.post("/triggers/new", **fields_of(form.text)).status_code == 303
    assert SECRET in stored(api)
