"""The pages of deliveries and failed invocations, where one or many are replayed."""

from __future__ import annotations

import re

from scheduler.domain.model import InvocationState
from tests.support.api import Api
from tests.support.hooks import make_hook
from tests.support.invocations import bring_to, make_agent_with_trigger, row_of
from tests.support.pages import signed_in


def test_deliveries_are_listed_with_what_the_check_said_and_replayed(api: Api) -> None:
    signed = make_hook(api, {"signature": {"scheme": "github", "secret": "s3cret"}})
    signed.refused(401, b"{}", x_hub_signature_256="sha256=00")
    plain = make_hook(api)
    firing = plain.accepted(b'{"n": 1}')
    browser = signed_in(api)
    every = browser.get("/deliveries")
    assert "bad signature" in every
    assert f"/firings/{firing}" in every
    refused = browser.get("/deliveries", show="refused")
    assert "bad signature" in refused
    assert f"/firings/{firing}" not in refused
    delivery = plain.deliveries()[0]["id"]
    again = browser.post(f"/triggers/{plain.id}/deliveries/{delivery}/replay")
    assert again.status_code == 303
    assert len(plain.firings()) == 2
    assert browser.post(f"/triggers/{signed.id}/deliveries/{delivery}/replay").status_code == 404


def test_a_range_of_deliveries_is_replayed_in_steps(api: Api) -> None:
    hook = make_hook(api, rate=100)
    for number in range(25):
        hook.accepted(f"{number}".encode())
    browser = signed_in(api)
    span = {"since": "2020-01-01", "until": "2090-01-01"}
    path, script = f"/triggers/{hook.id}/deliveries/replay", {"Reveille-Fragment": "json"}
    form = {"csrf": browser.token(), **span}
    first = browser.client.post(path, data=form, headers=script).get_json()
    assert (first["done"], first["failed"]) == (20, 0)
    last = browser.client.post(path, data={**form, "cursor": first["next"]}, headers=script).get_json()
    assert (last["done"], last["next"]) == (5, None)
    assert [row.payload for row in hook.firings()[25:]] == [f"{number}".encode() for number in range(25)]
    assert browser.post(path, since="yesterday", until="2090-01-01").status_code == 422


def test_what_ended_with_an_agent_that_was_deleted_is_not_listed_as_failed(api: Api) -> None:
    kept, gone = make_agent_with_trigger(api.db, "kept"), make_agent_with_trigger(api.db, "gone")
    for woken in (kept, gone):
        bring_to(api.db, woken, InvocationState.DEAD)
    api.delete(f"/agents/{gone.agent_id}")
    browser = signed_in(api)
    page = browser.get("/dead")
    assert page.count('name="id"') == 1
    assert "Replay all 1<" in page
    assert 'Failed <span class="count">1</span>' in page


def test_failed_invocations_are_listed_and_replayed_in_bulk(api: Api) -> None:
    dead = [
        bring_to(api.db, make_agent_with_trigger(api.db, f"a{number}"), InvocationState.DEAD)
        for number in range(3)
    ]
    bring_to(api.db, make_agent_with_trigger(api.db, "well"), InvocationState.SUCCEEDED)
    browser = signed_in(api)
    page = browser.get("/dead")
    assert page.count('name="id"') == 3
    assert "Replay all 3<" in page
    assert "never" in page
    assert browser.post("/dead/replay", id=[str(dead[0])]).location == "/dead"
    assert row_of(api.db, dead[0]).replayed_into is not None
    assert browser.get("/dead").count('name="id"') == 2
    answer = browser.client.post(
        "/dead/replay", data={"csrf": browser.token(), "all": "1"}, headers={"Reveille-Fragment": "json"}
    )
    assert answer.get_json() == {"done": 2, "failed": 0, "message": "", "next": None}
    assert "Nothing has failed" in browser.get("/dead")


def test_an_invocation_that_cannot_be_replayed_delays_no_other(api: Api) -> None:
    gone, there = make_agent_with_trigger(api.db, "gone"), make_agent_with_trigger(api.db, "there")
    dead = [bring_to(api.db, woken, InvocationState.DEAD) for woken in (gone, there)]
    api.delete(f"/agents/{gone.agent_id}")
    browser = signed_in(api)
    chosen = {"csrf": browser.token(), "id": [str(each) for each in dead]}  # on a page from before the deletion
    answer = browser.client.post("/dead/replay", data=chosen, headers={"Reveille-Fragment": "json"}).get_json()
    assert (answer["done"], answer["failed"]) == (1, 1)
    assert "deleted" in answer["message"]
    assert row_of(api.db, dead[1]).replayed_into is not None


def test_without_a_script_each_press_of_the_button_goes_on_where_the_one_before_ended(api: Api) -> None:
    hook = make_hook(api, rate=100)
    for _ in range(21):
        hook.accepted()
    browser = signed_in(api)
    span = {"since": "2020-01-01", "until": "2090-01-01"}
    path = f"/triggers/{hook.id}/deliveries/replay"
    location = browser.post(path, **span).location
    hidden = re.search(r'name="cursor" value="([^"]+)"', browser.get(location))
    assert hidden
    assert browser.post(path, **span, cursor=hidden[1]).location == f"/deliveries?trigger_id={hook.id}"
    assert len(hook.firings()) == 42
