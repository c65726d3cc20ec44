"""The zone that pages show times in."""

from __future__ import annotations

from tests.support.api import Api
from tests.support.pages import signed_in


def test_the_zone_is_the_browsers_until_another_is_chosen(api: Api) -> None:
    trigger = api.trigger(
        api.agent("ada")["id"], "round", type="cron", config={"expr": "0 9 * * *", "timezone": "Asia/Tokyo"}
    )
    browser = signed_in(api)
    assert "All times in UTC" in browser.get("/agents")
    browser.client.set_cookie("reveille_browser_zone", "Europe/Berlin")
    page = browser.get(f"/triggers/{trigger['id']}")
    assert page.count("All times in Europe/Berlin") == 1
    assert "Switch to UTC" in page
    assert "Switch to Asia/Tokyo (the trigger)" in page
    assert "At 09:00" in page
    chosen = browser.post("/zone", zone="Asia/Tokyo", next="/triggers?q=x")
    assert (chosen.status_code, chosen.location) == (303, "/triggers?q=x")
    assert "All times in Asia/Tokyo" in browser.get("/triggers")


def test_a_zone_that_does_not_exist_is_refused_and_a_foreign_cookie_ignored(api: Api) -> None:
    browser = signed_in(api)
    assert browser.post("/zone", zone="Mars/Base").status_code == 422
    assert browser.post("/zone", zone="UTC", next="https://evil.example").location == "/"
    browser.client.set_cookie("reveille_zone", "<script>")
    assert "All times in UTC" in browser.get("/agents")


def test_a_zone_field_suggests_zones(api: Api) -> None:
    form = signed_in(api).get("/agents/new")
    assert 'list="zones"' in form
    assert '<option value="Europe/Berlin">' in form
