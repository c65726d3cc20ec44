"""Changing agents, models and settings with their forms: what stays, what is shown, what is audited."""

from __future__ import annotations

import html
import re

from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.pages import Browser, signed_in


def filled_form(browser: Browser, path: str) -> dict[str, str]:
    """Returns what a browser would send from the page's unchanged form."""
    form = browser.get(path).partition(f'action="{path}"')[2].partition("</form>")[0]
    inputs = {}
    for tag in re.findall(r"<input [^>]*>", form):
        said = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if said.get("name") not in (None, "csrf") and (said.get("type") != "checkbox" or " checked" in tag):
            inputs[said["name"]] = html.unescape(said.get("value", ""))
    for name, text in re.findall(r'<textarea id="[^"]*" name="([^"]+)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        inputs[name] = html.unescape(text)
    for name, options in re.findall(r'<select id="[^"]*" name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        inputs[name] = html.unescape(chosen[1]) if chosen else ""
    return inputs


def test_an_agent_is_changed_by_its_form_and_an_unchanged_save_logs_nothing(api: Api) -> None:
    agent = api.agent("ada", role_description=" two\nlines ", dedup_delay_seconds=0.25)
    path, browser = f"/agents/{agent['id']}/edit", signed_in(api)
    form = filled_form(browser, path)
    assert form["name"] == "ada"
    form["role_description"] = form["role_description"].replace("\n", "\r\n")  # as browsers send it
    assert browser.post(path, **form).location == f"/agents/{agent['id']}"
    assert rows(api.db, "SELECT 1 FROM audit_events WHERE action = 'agent.updated'") == []
    browser.post(path, **form | {"name": "grace", "public_card": "1"})
    changed = api.get(f"/agents/{agent['id']}")
    assert (changed["name"], changed["public_card"]) == ("grace", True)
    assert 'name="public_card" type="checkbox" value="1" checked' in browser.get(path)
    wrong = browser.post(path, **form | {"timezone": "Mars", "role_description": "kept <b>"})
    assert wrong.status_code == 422
    assert 'id="e-timezone"' in wrong.text
    assert "kept &lt;b&gt;" in wrong.text


def test_a_trigger_and_a_model_that_are_saved_unchanged_log_nothing(api: Api) -> None:
    browser = signed_in(api)
    trigger = api.trigger(api.agent("ada")["id"], "tick")
    path = f"/triggers/{trigger['id']}/edit"
    browser.post(path, **filled_form(browser, path))
    browser.post(
        "/settings/models",
        name="small",
        provider="openai",
        model="gpt-x",
        key="sk-very-secret",
        input_price="0.15",
    )
    model = api.get("/models")["items"][0]
    path = f"/settings/models/{model['id']}/edit"
    form = filled_form(browser, path)
    assert "sk-very-secret" not in form.values()
    browser.post(path, **form)
    assert rows(api.db, "SELECT action FROM audit_events WHERE action LIKE '%.updated'") == []
    browser.post(path, **form | {"model": "gpt-y"})
    assert api.get(f"/models/{model['id']}")["model"] == "gpt-y"
    assert browser.post(path, **form | {"name": ""}).status_code == 422


def test_settings_keep_what_was_typed_when_one_field_is_wrong(shared: Api) -> None:
    wrong = signed_in(shared).post("/settings/limits", timezone="Mars/Base", default_max_triggers="77")
    assert wrong.status_code == 422
    assert 'value="Mars/Base"' in wrong.text
    assert 'value="77"' in wrong.text


def test_the_navigation_counts_what_waits_for_a_person_also_on_a_page_that_is_not_there(api: Api) -> None:
    agent = api.agent("ada")
    api.trigger(agent["id"], "tick")
    change(api.db, "UPDATE triggers SET approval = 'awaiting', is_enabled = false")
    page = signed_in(api).get("/triggers/nothing", 404)
    assert 'href="/approvals"' in page
    assert re.search(r'href="/approvals"[^>]*>.*?\b1\b', page.replace("\n", " "))
    assert 'href="/invocations"' in page
