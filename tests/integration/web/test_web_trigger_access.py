"""The triggers' pages for people without permission, and with malicious texts."""

from __future__ import annotations

import pytest

from tests.support.api import Api
from tests.support.pages import Browser, signed_in


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada")["id"])


def test_who_may_only_read_sees_no_button_and_may_press_none(api: Api, agent_id: str) -> None:
    trigger = api.trigger(agent_id, "tick")
    reader = signed_in(api, api.with_key("read").key)
    path = f"/triggers/{trigger['id']}"
    page = reader.get(path)
    assert "Fire now" not in page
    assert "New trigger" not in reader.get("/triggers")
    for verb in ("fire", "pause", "resume", "delete", "rotate", "sample", "try"):
        assert reader.post(f"{path}/{verb}", csrf=reader.token(path)).status_code == 403
    assert reader.client.get("/triggers/new").status_code == 403


def test_another_tenants_trigger_is_not_there(api: Api, agent_id: str) -> None:
    trigger = api.trigger(agent_id, "tick")
    rival = signed_in(api, api.with_key("admin", tenant_id=api.tenant("rival")).key)
    path = f"/triggers/{trigger['id']}"
    rival.get(path, status=404)
    rival.get(f"{path}/edit", status=404)
    token = rival.token("/triggers")
    for verb in ("fire", "pause", "resume", "delete", "rotate", "sample", "try", "edit"):
        assert rival.post(f"{path}/{verb}", csrf=token).status_code == 404, verb
    done = rival.client.post(
        "/triggers/bulk",
        data={"csrf": token, "do": "delete", "id": trigger["id"]},
        headers={"Reveille-Fragment": "json"},
    )
    assert done.json
    assert (done.json["done"], done.json["failed"]) == (0, 1)
    assert api.get(path)["is_enabled"] is True


@pytest.fixture
def evil(api: Api, agent_id: str) -> str:
    """A trigger whose every text is markup."""
    markup = "<script>alert(1)</script>"
    trigger = api.trigger(agent_id, markup, reason=markup, focus_ref=markup, type="webhook", config={})
    return str(trigger["id"])


def test_what_people_typed_is_never_markup(browser: Browser, evil: str) -> None:
    for path in ("/triggers", f"/triggers/{evil}", f"/triggers/{evil}/edit"):
        assert "<script>alert" not in browser.get(path), path
