"""Signing in and the first page, in a real browser."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, expect

from tests.browser.site import Site


def test_signing_in_shows_the_first_page_and_signing_out_leaves_nothing(site: Site) -> None:
    site.open("/")
    expect(site.page).to_have_title("Sign in · Reveille")
    site.check_accessible()
    site.sign_in()
    expect(site.page.get_by_role("heading", name="Now")).to_be_visible()
    expect(site.page.get_by_text("Three steps to your first wake")).to_be_visible()
    site.check_accessible()
    site.page.get_by_role("button", name="Sign out").click()
    site.open("/triggers")
    expect(site.page).to_have_title("Sign in · Reveille")


def test_a_wrong_key_says_so(site: Site) -> None:
    site.open("/sign-in")
    site.page.get_by_label("API key").fill("rvl_wrong")
    site.page.get_by_role("button", name="Sign in with key").click()
    expect(site.page.get_by_role("alert")).to_contain_text("Unknown key")
    site.check_accessible()


def test_the_picture_is_live_and_explains_what_woke_the_agent(site: Site) -> None:
    trigger = site.api.trigger(site.api.agent("ada", dedup_delay_seconds=60)["id"], "tick")
    site.sign_in()
    expect(site.page.locator("#live")).to_have_text("live")
    site.api.post(f"/triggers/{trigger['id']}/fire", status=202)
    window = site.page.get_by_role("link", name="woken by tick (interval)")
    expect(window).to_have_count(1)
    window.focus()
    expect(site.page.locator("#why")).to_contain_text("woken by tick (interval): closes at")
    site.check_accessible()


def test_the_first_page_is_readable_without_scripts(site: Site, context: BrowserContext) -> None:
    trigger = site.api.trigger(site.api.agent("ada")["id"], "tick")
    site.api.post(f"/triggers/{trigger['id']}/fire", status=202)
    site.sign_in()
    plain = context.browser
    assert plain
    without = plain.new_context(java_script_enabled=False, storage_state=context.storage_state())
    page = without.new_page()
    page.goto(site.url + "/")
    expect(page.get_by_role("link", name="tick (interval) fired at").first).to_be_visible()
    without.close()


def test_a_picture_says_how_old_it_is_while_the_server_is_unavailable(site: Site, context: BrowserContext) -> None:
    site.api.trigger(site.api.agent("ada")["id"], "tick")
    # Chromium keeps an open stream when it goes offline, so a picture might still arrive over it.
    site.page.route("**/now/stream*", lambda route: route.abort())
    site.page.clock.install()
    site.sign_in()
    site.page.clock.run_for(2_000)
    expect(site.page.locator("#live")).to_have_text("asking every 5 s")
    context.set_offline(True)
    site.page.clock.run_for(60_000)
    expect(site.page.locator("#live")).to_contain_text("s old")
    expect(site.page.locator("#picture")).to_have_class("stack stale")
    site.check_accessible()
    context.set_offline(False)
    site.page.clock.run_for(10_000)
    expect(site.page.locator("#picture")).to_have_class("stack")


def test_a_press_held_while_the_picture_changes_counts(site: Site) -> None:
    site.api.trigger(site.api.agent("ada")["id"], "tick")
    site.page.route("**/now/stream*", lambda route: route.abort())
    site.page.clock.install()
    site.sign_in()
    lane = site.page.locator(".lane a.agent")
    lane.evaluate("each => { each.dataset.same = 'yes'; }")
    lane.hover()
    site.page.mouse.down()
    for _ in range(2):
        with site.page.expect_response("**/now/picture*"):
            site.page.clock.run_for(6_000)
    expect(site.page.locator(".lane a[data-same]")).to_have_count(1)
    site.page.mouse.up()
    site.page.wait_for_url("**/agents/*")
