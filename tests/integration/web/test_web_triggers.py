"""The triggers' pages: list, filters, bulk, forms of each kind, previews, tries, samples."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.pages import Browser, signed_in

ID = re.compile(r"/triggers/([0-9a-f-]{36})")


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada")["id"])


def made(api: Api) -> dict[str, Any]:
    """Returns the only trigger."""
    (found,) = api.get("/triggers")["items"]
    return dict(found)


FORMS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "cron": (
        {"config.expr": "0 9 * * mon-fri", "config.timezone": "Europe/Berlin",
         "config.exclude": "2030-12-25\r\n2030-12-26\r\n"},
        {"expr": "0 9 * * mon-fri", "timezone": "Europe/Berlin", "exclude": ["2030-12-25", "2030-12-26"]},
    ),
    "interval": ({"config.minutes": "1.5"}, {"minutes": 1.5}),
    "once": ({"config.at": "2090-01-31T09:00:00Z"}, {"at": "2090-01-31T09:00:00Z"}),
    "poll": (
        {"config.url": "https://example.org/", "config.json_path": "$.status", "config.fire_on": "match",
         "config.match_value": "done", "config.interval_min": "5", "config.method": "GET", "config.repeat": "1",
         "config.headers": "Authorization: Bearer x"},
        {"url": "https://example.org/", "json_path": "$.status", "fire_on": "match", "match_value": "done",
         "interval_min": 5, "method": "GET", "repeat": True},
    ),
    "webhook": (
        {"config.signature.scheme": "github", "config.signature.secret": "s3cret", "config.filter.json_path": "$.a",
         "config.redact": "1"},
        {"signature": {"scheme": "github"}, "filter": {"json_path": "$.a"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
def test_each_kinds_form_makes_a_trigger(api: Api, browser: Browser, agent_id: str, kind: str) -> None:
    fields, config = FORMS[kind]
    form = browser.get("/triggers/new", type=kind)
    assert all(f'name="{name}"' in form for name in fields)
    limits = {"max_fires": "3", "cooldown_seconds": "5", "misfire_policy": "skip", "grace_seconds": "60"}
    sent = {
        "type": kind,
        "agent_id": agent_id,
        "name": "wake",
        "reason": "it is time",
        "urgent": "1",
        **limits,
        **fields,
    }
    response = browser.post("/triggers/new", **sent)
    assert response.status_code == (200 if kind == "webhook" else 303), response.text
    trigger = made(api)
    assert trigger["config"] == config
    assert (trigger["type"], trigger["name"], trigger["reason"], trigger["urgent"]) == (
        kind,
        "wake",
        "it is time",
        True,
    )
    assert (trigger["max_fires"], trigger["misfire_policy"]) == (3, "skip")
    assert "wake" in browser.get(f"/triggers/{trigger['id']}")


def test_the_form_of_messages_makes_a_trigger(api: Api, browser: Browser, agent_id: str) -> None:
    other = api.agent("bob")["id"]
    fields = {"config.from_agent": "bob", "config.channels": "web\nslack", "config.text_match.contains": "help"}
    response = browser.post("/triggers/new", type="on_message", agent_id=agent_id, name="listen", **fields)
    assert response.status_code == 303, response.text
    config = made(api)["config"]
    assert config == {"from_agent": other, "channels": ["web", "slack"], "text_match": {"contains": "help"}}


@pytest.mark.parametrize("kind", FORMS)
def test_saving_a_form_as_it_is_changes_nothing(api: Api, browser: Browser, agent_id: str, kind: str) -> None:
    """Including secrets, which the form does not show."""
    fields, _ = FORMS[kind]
    browser.post("/triggers/new", type=kind, agent_id=agent_id, name="wake", **fields)
    before, secret = made(api), rows(api.db, "SELECT secret FROM triggers")[0].secret
    form = browser.get(f"/triggers/{before['id']}/edit")
    assert "s3cret" not in form
    assert "Bearer x" not in form
    assert browser.post(f"/triggers/{before['id']}/edit", **shown(form)).status_code == 303
    after = made(api)
    assert after | {"updated_at": None} == before | {"updated_at": None}
    assert rows(api.db, "SELECT secret FROM triggers")[0].secret == secret


def shown(form: str) -> dict[str, Any]:
    """Returns what a browser would send from an unchanged form."""
    fields: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        attributes = {name: html.unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        name, value = attributes["name"], attributes.get("value", "")
        if attributes.get("type") != "checkbox":
            fields[name] = value
        elif " checked" in tag:
            fields[name] = [*fields[name], value] if isinstance(fields.get(name), list) else [value]
    for name, text in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>([^<]*)</textarea>', form):
        fields[name] = html.unescape(text).removeprefix("\n")
    for name, options in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        fields[name] = chosen[1] if chosen else ""
    fields.pop("csrf")
    return fields


def test_emptying_an_input_takes_its_field_away(api: Api, browser: Browser, agent_id: str) -> None:
    fields, _ = FORMS["webhook"]
    browser.post("/triggers/new", type="webhook", agent_id=agent_id, name="wake", reason="x", **fields)
    trigger = made(api)
    sent = shown(browser.get(f"/triggers/{trigger['id']}/edit"))
    sent |= {"config.signature.scheme": "", "config.filter.json_path": "", "reason": "", "max_fires": ""}
    assert browser.post(f"/triggers/{trigger['id']}/edit", **sent).status_code == 303
    after = made(api)
    assert (after["config"], after["reason"]) == ({}, "")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"type": "cron", "name": "x", "config.expr": "0 25 * * *"}, "config.expr"),
        ({"type": "interval", "name": "x", "config.minutes": "soon"}, "config.minutes"),
        ({"type": "interval", "name": "", "config.minutes": "5"}, "name"),
        ({"type": "interval", "name": "x", "config.minutes": "5", "max_fires": "-1"}, "max_fires"),
        (
            {"type": "poll", "name": "x", "config.url": "https://x.org", "config.headers": "no colon"},
            "config.headers",
        ),
    ],
)
def test_a_wrong_field_is_marked_and_the_rest_of_the_form_stays(
    browser: Browser, agent_id: str, fields: dict[str, str], name: str
) -> None:
    response = browser.post("/triggers/new", agent_id=agent_id, reason="kept <b>", **fields)
    assert response.status_code == 422
    assert f'id="e-{name}"' in response.text
    assert "kept &lt;b&gt;" in response.text


def test_an_agent_of_another_tenant_gets_no_trigger(api: Api, browser: Browser) -> None:
    theirs = api.as_(api.key, api.tenant("acme")).post(
        "/agents", {"name": "x", "runtime": {"kind": "command", "name": "echo"}}
    )
    response = browser.post(
        "/triggers/new", type="interval", agent_id=theirs["id"], name="x", **{"config.minutes": "5"}
    )
    assert response.status_code == 404
    assert "There is no agent" in response.text


def test_the_preview_marks_clock_changes(api: Api, browser: Browser) -> None:
    fields = {"type": "cron", "config.expr": "30 2 * 3 sun", "config.timezone": "Europe/Berlin"}
    answer = browser.post("/triggers/preview", **fields)
    assert answer.status_code == 200
    assert "moved" in answer.text
    assert "03:00:00" in answer.text
    assert "has 1 field" in browser.post("/triggers/preview", type="cron", **{"config.expr": "nonsense"}).text
    page = browser.post("/triggers/new", do="preview", name="x", **fields)
    assert page.status_code == 200
    assert "moved" in page.text
    assert api.get("/triggers")["items"] == []


def test_a_webhooks_address_is_shown_once_and_rings(api: Api, browser: Browser, agent_id: str) -> None:
    page = browser.post("/triggers/new", type="webhook", agent_id=agent_id, name="doorbell").text
    (address, *_) = re.findall(r"https?://[^\s<]*/hooks/([\w-]+)", page)
    assert "curl -H" in html.unescape(page)
    assert api.call("POST", f"//hooks/{address}", data=b"hello").status_code == 202
    trigger = made(api)
    detail = browser.get(f"/triggers/{trigger['id']}")
    assert address not in detail
    assert "accepted" in detail
    assert "/hooks/TOKEN" in detail and "New address" in detail
    rotated = browser.post(f"/triggers/{trigger['id']}/rotate").text
    assert address not in rotated
    assert "curl -H" in html.unescape(rotated)
    assert api.call("POST", f"//hooks/{address}", data=b"hello").status_code == 404


def test_a_sample_becomes_a_firing_with_its_payload(api: Api, browser: Browser, agent_id: str) -> None:
    trigger = api.trigger(agent_id, "doorbell", type="webhook", config={})
    sent = browser.post(f"/triggers/{trigger['id']}/sample", body='{"a": 1}', content_type="application/json")
    (firing,) = api.get("/firings")["items"]
    assert sent.location == f"/invocations/{firing['invocation_id']}"
    assert rows(api.db, "SELECT payload FROM firings")[0].payload == b'{"a": 1}'
    assert browser.post(f"/triggers/{trigger['id']}/sample", body="x" * 70_000).status_code == 413
    other = api.trigger(agent_id, "tick")
    assert browser.post(f"/triggers/{other['id']}/sample", body="x").status_code == 409


def test_a_poll_is_tried_without_a_trace(api: Api, browser: Browser, agent_id: str) -> None:
    """The address is private, which the guard refuses: the page says so."""
    config = {"config.url": "http://127.0.0.1:1/", "config.interval_min": "5"}
    tried = browser.post("/triggers/new", do="try", type="poll", agent_id=agent_id, name="x", **config)
    assert tried.status_code in (200, 422)
    assert "127.0.0.1" in tried.text
    assert api.get("/triggers")["items"] == []


def test_pause_resume_fire_and_delete(api: Api, browser: Browser, agent_id: str) -> None:
    trigger = api.trigger(agent_id, "tick")
    path = f"/triggers/{trigger['id']}"
    assert browser.post(f"{path}/pause", note="on holiday").status_code == 303
    assert "on holiday" in browser.get(path)
    assert browser.post(f"{path}/fire").status_code == 409
    browser.post(f"{path}/resume")
    assert made(api)["is_enabled"] is True
    fired = browser.post(f"{path}/fire")
    assert fired.location.startswith("/invocations/")
    history = browser.get(path)
    assert "key:operator" in history
    assert browser.post(f"{path}/delete").location == "/triggers"
    assert "tick was deleted" in browser.get("/triggers")
    browser.get(path, status=404)


def test_the_list_filters_searches_and_pages(api: Api, browser: Browser) -> None:
    change(api.db, "UPDATE tenants SET default_max_triggers = 100")
    agent = api.agent("ada", max_triggers=100)["id"]
    for number in range(55):
        api.trigger(agent, f"tick-{number}")
    hook = api.trigger(agent, "100%_doorbell", type="webhook", config={})
    api.post(f"/triggers/{hook['id']}/pause", status=200)
    first = browser.get("/triggers")
    assert len(set(ID.findall(first))) == 50
    older = html.unescape(first).partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert len(set(ID.findall(browser.get(older)))) == 6
    for query in ({"type": "webhook"}, {"state": "paused"}, {"q": "100%_"}, {"q": "DOORBELL"}):
        assert set(ID.findall(browser.get("/triggers", 200, **query))) == {hook["id"]}, query
    assert "No triggers match" in browser.get("/triggers", q="nothing")
    browser.get("/triggers", status=404, agent_id="x")
    browser.get("/triggers", status=404, after="x")


def test_many_are_changed_at_once_in_steps(api: Api, browser: Browser) -> None:
    change(api.db, "UPDATE tenants SET default_max_triggers = 100")
    agent = api.agent("ada", max_triggers=100)["id"]
    ids = [api.trigger(agent, f"tick-{number}")["id"] for number in range(25)]
    chosen = browser.post("/triggers/bulk", do="pause", id=ids[:2])
    assert chosen.status_code == 303
    assert "2 done" in browser.get("/triggers")
    assert len(rows(api.db, "SELECT FROM triggers WHERE is_enabled")) == 23
    token = browser.token("/triggers")
    cursor: str | None = ""
    steps = 0
    while cursor is not None:
        data = {"csrf": token, "do": "delete", "all": "1", "cursor": cursor}
        step = browser.client.post("/triggers/bulk", data=data, headers={"Reveille-Fragment": "json"}).json
        assert step
        steps, cursor = steps + 1, step["next"]
    assert steps == 2
    assert api.get("/triggers")["items"] == []
    assert browser.post("/triggers/bulk", do="explode", id=ids).status_code == 422
