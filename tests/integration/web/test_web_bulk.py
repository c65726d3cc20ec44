"""Changing many triggers at once: what is confirmed first, and what is left alone."""

from __future__ import annotations

import re

import pytest

from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.pages import Browser, signed_in


@pytest.fixture
def browser(api: Api) -> Browser:
    return signed_in(api)


@pytest.fixture
def ids(api: Api) -> dict[str, str]:
    """Creates an enabled one, one paused without a note, one paused for a reason, and one that has finished."""
    agent = api.agent("ada")["id"]
    made = {name: api.trigger(agent, name)["id"] for name in ("running", "silent", "noted", "done")}
    api.post(f"/triggers/{made['silent']}/pause", status=200)
    api.post(f"/triggers/{made['noted']}/pause", {"note": "until the audit is over"}, 200)
    change(
        api.db,
        "UPDATE triggers SET is_enabled = false, paused_note = 'max_fires', max_fires = 1, fire_count = 1"
        " WHERE id = :id",
        id=made["done"],
    )
    return made


def enabled(api: Api) -> set[str]:
    return {row.name for row in rows(api.db, "SELECT name FROM triggers WHERE is_enabled AND type <> 'wake'")}


def test_one_that_ended_by_itself_is_not_called_paused(api: Api, browser: Browser, ids: dict[str, str]) -> None:
    agent = api.get("/agents")["items"][0]["id"]
    for path in ("/triggers", f"/agents/{agent}", f"/triggers/{ids['done']}"):
        page = browser.get(path)
        assert re.search(r">ended</span>\s*<bdi[^>]*>it reached its maximum of firings<", page), path
        assert "max_fires" not in page.partition("<h3>Configuration")[0]
    assert ">paused</span>" not in browser.get(f"/triggers/{ids['done']}").partition("<h3>")[0]


def test_resume_asks_and_leaves_out_what_was_paused_for_a_reason_or_finished(
    api: Api, browser: Browser, ids: dict[str, str]
) -> None:
    asked = browser.post("/triggers/bulk", do="resume", all="1")
    assert asked.status_code == 200
    assert "Resume 1 trigger?" in asked.text
    assert "Also resume 1 paused for a reason" in asked.text
    assert "until the audit is over" in asked.text
    assert "Also restart 1 that had finished" in asked.text
    assert "1 left out: already enabled" in asked.text
    assert enabled(api) == {"running"}
    assert browser.post("/triggers/bulk", do="resume", all="1", confirmed="1").status_code == 303
    assert "1 done" in browser.get("/triggers")
    assert enabled(api) == {"running", "silent"}
    browser.post("/triggers/bulk", do="resume", all="1", confirmed="1", noted="1")
    assert enabled(api) == {"running", "silent", "noted"}
    browser.post("/triggers/bulk", do="resume", id=[ids["done"]], confirmed="1", finished="1")
    assert enabled(api) == {"running", "silent", "noted", "done"}


def test_delete_says_the_count_and_the_names(api: Api, browser: Browser, ids: dict[str, str]) -> None:
    asked = browser.post("/triggers/bulk", do="delete", id=[ids["noted"], ids["done"]])
    assert "Delete 2 triggers?" in asked.text
    assert ">noted<" in asked.text
    assert ">done<" in asked.text
    assert ">running<" not in asked.text
    assert len(api.get("/triggers")["items"]) == 4
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text))
    assert fields["do"] == "delete"
    browser.post("/triggers/bulk", do="delete", id=[ids["noted"], ids["done"]], confirmed="1")
    assert {each["name"] for each in api.get("/triggers")["items"]} == {"running", "silent"}


def test_a_pause_of_many_takes_a_note_and_leaves_the_notes_of_others(
    api: Api, browser: Browser, ids: dict[str, str]
) -> None:
    browser.post("/triggers/bulk", do="pause", all="1", note="moving house")
    assert api.get(f"/triggers/{ids['running']}")["paused_note"] == "moving house"
    assert api.get(f"/triggers/{ids['noted']}")["paused_note"] == "until the audit is over"


def test_an_empty_selection_is_reported(browser: Browser, ids: dict[str, str]) -> None:
    sent = browser.post("/triggers/bulk", do="delete", q="run")
    assert (sent.status_code, sent.location) == (303, "/triggers?q=run")
    assert "Nothing selected" in browser.get("/triggers")
    assert len(ids) == 4
    assert browser.post("/dead/replay").status_code == 303
    assert "Nothing selected" in browser.get("/dead")


def test_without_a_script_a_page_leads_from_step_to_step(api: Api, browser: Browser) -> None:
    change(api.db, "UPDATE tenants SET default_max_triggers = 100")
    agent = api.agent("ada", max_triggers=100)["id"]
    for number in range(25):
        api.trigger(agent, f"tick-{number}")
    first = browser.post("/triggers/bulk", do="pause", all="1", note="lunch")
    assert first.status_code == 200
    assert "20 done" in first.text
    assert "Pause 5 triggers?" in first.text
    [cursor] = re.findall(r'name="cursor" value="([^"]+)"', first.text)
    assert browser.post("/triggers/bulk", do="pause", all="1", note="lunch", cursor=cursor).status_code == 303
    assert enabled(api) == set()
