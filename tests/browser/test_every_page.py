"""Every page, empty and filled with the longest and strangest names: accessible, and never wider than the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask
from playwright.sync_api import ViewportSize, expect

from api.web import PAGES
from scheduler.triggers.registry import OFFERED
from tests.browser import sample_data, screenshots
from tests.browser.site import Site
from tests.browser.strange_names import KINDS, LONG, play
from tests.support.database import change

NO_PAGES = {
    "web_now.show_picture",
    "web_now.stream",
    "web_firings.download_payload",
    "web_firings.download_document",
    "web_questions.end_session",  # what the sign-in creates; covered below
    "web_csv.download",
}
MARKUP_AS_TEXT = re.compile("</?(time|span|svg|path|abbr|a|td|tr|th|button|form|input) ?")
PHONE: ViewportSize = {"width": 360, "height": 740}
TABLET: ViewportSize = {"width": 768, "height": 1024}
DESK: ViewportSize = {"width": 1280, "height": 800}


def rules() -> Iterator[str]:
    """Returns the paths of all pages, with their parameters."""
    app = Flask("pages")
    for each in PAGES:
        app.register_blueprint(each)
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static" and "GET" in (rule.methods or ()) and rule.endpoint not in NO_PAGES:
            yield rule.rule


def paths(ids: dict[str, str]) -> Iterator[str]:
    """Returns a path for each page, each kind of trigger and each runtime."""
    for rule in rules():
        path = rule
        for name, id_ in ids.items():
            path = path.replace(f"<{name}>", id_)
        assert "<" not in path, f"tests.browser.strange_names makes nothing for {path}"
        yield path
    yield from (f"/triggers/new?type={kind}" for kind in OFFERED)
    yield from (f"/triggers/{ids[kind]}" for kind in KINDS)
    yield from (f"/agents/new?kind={kind}" for kind in ("llm", "a2a", "command"))
    yield from (
        f"/{each}?agent_id={ids['agent_id']}" for each in ("triggers", "settings/notifications", "sessions")
    )
    yield from (f"/deliveries?trigger_id={ids['webhook']}", f"/agents/{ids['agent_id']}/nothing")


def check(site: Site, path: str) -> None:
    """Checks a page on desktop and phone, in light and dark."""
    site.page.set_viewport_size(DESK)
    site.open(path)
    check_here(site)


def check_here(site: Site) -> None:
    """Checks the open page in the same way."""
    assert not MARKUP_AS_TEXT.search(site.page.inner_text("main")), f"markup is shown as text on {site.page.url}"
    site.page.set_viewport_size(DESK)
    site.check_width()
    site.page.set_viewport_size(PHONE)
    site.check_width()
    site.check_accessible()
    site.page.emulate_media(color_scheme="dark")
    site.check_accessible(only=("color-contrast",))
    site.page.emulate_media(color_scheme="light")


def test_every_page_that_is_empty(site: Site) -> None:
    check(site, "/sign-in")
    site.sign_in()
    for rule in rules():
        if "<" not in rule:
            check(site, rule)


def test_every_page_that_is_full_of_strange_names(site: Site) -> None:
    ids = play(site.api)
    site.sign_in()
    for path in paths(ids):
        check(site, path)


def test_no_table_is_cut_on_a_desk_or_a_tablet(site: Site) -> None:
    sample_data.play(site.api)
    site.sign_in()
    for _, path in screenshots.pages(site.api):
        site.open(path)
        for size in (DESK, TABLET):
            site.page.set_viewport_size(size)
            site.check_width()
            site.check_tables()


def test_the_cells_of_figures_fill_their_frame_on_a_phone(site: Site) -> None:
    site.sign_in()
    site.page.set_viewport_size({"width": 390, "height": 800})
    site.open("/insights")
    frame, *cells = site.page.locator(".vitals").evaluate(
        "it => [it, ...it.children].map(each => each.offsetWidth * each.offsetHeight)"
    )
    assert sum(cells) > 0.95 * frame


def test_the_pages_between_a_session_and_the_next(site: Site) -> None:
    site.api.agent("ada")
    site.sign_in()
    page = site.page
    for path, button, leads_to in (
        ("/triggers/new?type=interval", "Create trigger", "Continue editing"),
        ("/settings", "Create key", "Send the form"),
    ):
        site.open(path)
        page.get_by_label("Name", exact=True).fill(LONG)
        change(site.api.db, "DELETE FROM web_sessions")
        site.follow(page.get_by_role("button", name=button))
        check_here(site)
        page.get_by_label("API key").fill(site.api.key or "")
        page.get_by_role("button", name="Sign in with key").click()
        expect(page.get_by_role("button", name=leads_to)).to_be_focused()
        check_here(site)
        page.get_by_role("button", name=leads_to).click()
    site.open("/settings/sign-ins")
    site.follow(page.get_by_role("link", name="End"))
    check_here(site)


def test_names_take_two_lines_until_their_row_has_the_focus_and_state_comes_first(site: Site) -> None:
    play(site.api)
    site.sign_in()
    site.page.set_viewport_size(PHONE)
    for path in ("/agents", "/triggers", "/invocations", "/dead", "/deliveries"):
        site.open(path)
        row = (
            site.page.get_by_role("row").filter(has_text=LONG[:100]).filter(has=site.page.locator(".badge")).first
        )
        name = row.locator("a.name").first
        assert name.evaluate("each => each.clientHeight < 2.5 * parseFloat(getComputedStyle(each).lineHeight)"), (
            path
        )
        state = row.locator(".badge").first.bounding_box()
        assert state is not None
        assert state["x"] + state["width"] < PHONE["width"], path
        assert state["x"] < (name.bounding_box() or state)["x"], path
        name.focus()
        # The row keeps its height for a moment.
        whole = "each => each.clientHeight > 4 * parseFloat(getComputedStyle(each).lineHeight)"
        site.page.wait_for_function(whole, arg=name.element_handle())


def test_an_explanation_is_shown_below_its_mark_on_a_phone(site: Site) -> None:
    trigger = site.api.trigger(site.api.agent("ada", dedup_delay_seconds=60)["id"], "tick")
    site.api.post(f"/triggers/{trigger['id']}/fire", status=202)
    site.page.set_viewport_size(PHONE)
    # A newer picture would replace what is measured.
    site.page.route("**/now/stream*", lambda route: route.abort())
    site.sign_in()
    window = site.page.get_by_role("link", name="woken by tick (interval)")
    window.focus()
    expect(site.page.locator("#why")).to_contain_text("ada: Window from")
    mark, why = window.bounding_box(), site.page.locator("#why").bounding_box()
    assert mark is not None
    assert why is not None
    assert 0 < why["y"] - mark["y"] < 60
