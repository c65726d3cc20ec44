"""Irreversible actions are confirmed on a page first, with or without a script."""

from __future__ import annotations

import re

from scheduler.domain.model import InvocationState
from tests.support.api import Api
from tests.support.database import rows
from tests.support.invocations import bring_to, make_agent_with_trigger, ready_one
from tests.support.pages import Browser, signed_in

MODEL = {"name": "small", "provider": "openai", "model": "gpt-x", "key": "sk-very-secret"}
TARGET = {"name": "pager", "kind": "webhook", "url": "https://192.0.2.1.invalid/x"}


def answer(browser: Browser, listed: str, path: str, question: str) -> str:
    """Follows the link to `path` on the page `listed`, presses the button there, and returns the new location."""
    assert f'href="{path}"' in browser.get(listed)
    address = path.partition("?")[0]
    page = browser.get(path)
    heading = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert heading is not None
    assert re.sub(r"<[^>]+>", "", heading[1]).strip() == question
    assert f'method="post" action="{address}"' in page
    hidden = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.partition('class="card"')[2])
    )
    return str(browser.post(address, **hidden).location)


def test_nothing_is_asked_by_a_script_alone(api: Api) -> None:
    agent = str(api.agent("ada")["id"])
    browser = signed_in(api)
    made = browser.post("/triggers/new", type="webhook", agent_id=agent, name="bell", cooldown_seconds="0")
    assert made.status_code in (200, 201), made.text
    bell = f"/triggers/{api.get('/triggers')['items'][0]['id']}"
    page = browser.get(f"{bell}/rotate")
    assert "The old address stops working at once." in page
    assert "curl" in browser.post(f"{bell}/rotate").text
    assert answer(browser, bell, f"{bell}/delete", "Delete bell?") == "/triggers"
    browser.post("/settings/models", **MODEL)
    model = f"/settings/models/{api.get('/models')['items'][0]['id']}"
    answer(browser, "/settings/models", f"{model}/delete", "Delete small?")
    browser.post(f"/agents/{agent}/notifications", **TARGET)
    [target] = api.get(f"/agents/{agent}/notification-targets")["items"]
    mine = f"/settings/notifications?agent_id={agent}"
    asked = f"/settings/notifications/{target['id']}/delete?agent_id={agent}"
    assert answer(browser, mine, asked, "Delete pager?") == mine
    browser.post("/settings/keys", name="laptop", scope="read")
    [key] = rows(api.db, "SELECT id FROM api_keys WHERE name = 'laptop'")
    answer(browser, "/settings", f"/settings/keys/{key.id}/revoke", "Revoke laptop?")
    answer(browser, f"/agents/{agent}", f"/agents/{agent}/delete", "Delete ada?")
    left = ("triggers WHERE deleted_at IS NULL", "models", "notification_targets")
    for table in left:
        assert rows(api.db, f"SELECT id FROM {table}") == [], table  # noqa: S608  # ours


def test_an_invocation_is_cancelled_and_replayed_after_a_question(api: Api) -> None:
    waiting = f"/invocations/{ready_one(api.db, make_agent_with_trigger(api.db, 'ada'))}"
    browser = signed_in(api)
    assert answer(browser, waiting, f"{waiting}/cancel", "Cancel this invocation of ada?") == waiting
    assert answer(browser, waiting, f"{waiting}/replay", "Replay this invocation?") != waiting
    bring_to(api.db, make_agent_with_trigger(api.db, "bob"), InvocationState.DEAD)
    assert answer(browser, "/dead", "/dead/replay", "Replay 1 invocation?") == "/dead"
    assert "Nothing has failed" in browser.get("/dead")


def test_the_session_in_use_says_so_before_it_is_ended(api: Api) -> None:
    browser = signed_in(api)
    found = re.search(r'href="(/settings/sign-ins/\w+/end)"', browser.get("/settings/sign-ins"))
    assert found
    assert "you will be signed out" in browser.get(found[1])
    browser.post(found[1])
    browser.get("/settings/sign-ins", 303)
