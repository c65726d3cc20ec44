"""Triggers in a real browser: create, preview, pause, fire, send a sample, and change many at once."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.site import Site


def test_a_schedule_is_made_with_a_live_preview_then_paused_and_fired(site: Site) -> None:
    site.api.agent("ada")
    site.sign_in()
    page = site.page
    site.follow(page.get_by_role("link", name="Triggers", exact=True))
    site.check_accessible()
    site.follow(page.get_by_role("link", name="New trigger"))
    site.check_accessible()
    page.get_by_role("link", name="cron").click()
    page.get_by_label("Name", exact=True).fill("night round")
    page.get_by_label("Expression").fill("30 2 * 3 sun")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    expect(page.locator("#preview")).to_contain_text("moved")
    expect(page.locator("#preview")).to_contain_text("03:00:00+02:00")
    site.check_accessible()
    page.get_by_role("button", name="Create trigger").click()
    expect(page.get_by_role("status").first).to_contain_text("night round was created.")
    site.check_accessible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Fire now").click()
    page.wait_for_url("**/invocations/*")
    expect(page.get_by_role("status").first).to_contain_text("night round fired")
    site.check_accessible()


def test_a_wrong_expression_says_so_while_one_types_and_when_one_saves(site: Site) -> None:
    site.api.agent("ada")
    site.sign_in()
    site.open("/triggers/new?type=cron")
    site.page.get_by_label("Name", exact=True).fill("x")
    site.page.get_by_label("Expression").fill("0 25 * * *")
    expect(site.page.locator("#preview")).to_contain_text("25")
    site.page.get_by_role("button", name="Create trigger").click()
    expect(site.page.locator("form .error").first).to_contain_text("25")
    expect(site.page.get_by_label("Expression")).to_have_attribute("aria-invalid", "true")
    site.check_accessible()


def test_a_webhook_is_made_and_a_sample_becomes_a_wake_whose_payload_is_inert(site: Site) -> None:
    site.api.agent("ada")
    site.sign_in()
    page = site.page
    site.open("/triggers/new?type=webhook")
    page.get_by_label("Name", exact=True).fill("doorbell")
    page.get_by_role("button", name="Create trigger").click()
    expect(page.get_by_text("curl -H")).to_be_visible()
    site.check_accessible()
    page.get_by_role("link", name="Go to the trigger").click()
    payload = "<script>document.title = 'run'</script><img src=x onerror=document.title='run'>" + "x" * 60_000
    page.get_by_label("Body").fill(payload)
    page.get_by_label("Content type").fill("text/html")
    site.check_accessible()
    page.get_by_role("button", name="Send sample").click()
    page.wait_for_url("**/invocations/*")
    expect(page.get_by_text("The sample was recorded")).to_be_visible()
    assert page.title() != "run"
    assert page.locator("img[src=x]").count() == 0
    site.check_accessible()


def test_many_are_paused_with_progress(site: Site) -> None:
    site.api.patch("/tenants/00000000-0000-7000-8000-000000000001", {"default_max_triggers": 100})
    agent_id = site.api.agent("ada", max_triggers=100)["id"]
    for number in range(25):
        site.api.trigger(agent_id, f"tick-{number}")
    site.sign_in()
    site.open("/triggers?q=tick")
    site.page.get_by_label("matching the filters").check()
    site.page.get_by_role("button", name="Pause").click()
    expect(site.page.get_by_role("status")).to_contain_text("25 done")
    site.check_accessible()
    site.page.get_by_role("link", name="Reload the list").click()
    expect(site.page.get_by_role("row").filter(has_text="paused")).to_have_count(25)


def test_many_are_deleted_only_after_a_page_has_asked(site: Site) -> None:
    agent_id = site.api.agent("ada")["id"]
    for name in ("tick", "tock"):
        site.api.trigger(agent_id, name)
    site.sign_in()
    site.open("/triggers")
    site.page.get_by_role("button", name="Delete").click()
    expect(site.page.get_by_role("status")).to_contain_text("Nothing selected")
    expect(site.page.get_by_role("button", name="Delete")).to_be_enabled()
    site.page.get_by_label("Select tick of ada").check()
    site.page.get_by_role("button", name="Delete").click()
    expect(site.page.get_by_role("heading", name="Delete 1 trigger?")).to_be_visible()
    site.check_accessible()
    site.page.get_by_role("button", name="Delete").click()
    expect(site.page.get_by_role("status")).to_contain_text("1 done")
    expect(site.page.get_by_role("status")).to_be_in_viewport()
    site.check_accessible()
    site.page.get_by_role("link", name="Back to the list").click()
    expect(site.page.get_by_role("link", name="tock")).to_be_visible()
    expect(site.page.get_by_role("link", name="tick")).to_have_count(0)


def test_a_press_is_not_lost_when_the_row_above_loses_the_focus(site: Site) -> None:
    """The row with the focus shows long names whole, so the button below it would move while it is pressed."""
    agent_id = site.api.agent("ada")["id"]
    site.api.trigger(agent_id, "a long name " * 10 + "ends")
    site.sign_in()
    site.open("/triggers")
    delete = site.page.get_by_role("button", name="Delete")
    before = delete.bounding_box()
    site.page.get_by_label("Select a long name").press("Tab")
    moved = "y => document.querySelector('.danger').getBoundingClientRect().y > y + 20"
    site.page.wait_for_function(moved, arg=before["y"] if before else 0)
    delete.click()
    expect(site.page.get_by_role("status")).to_contain_text("Nothing selected")


def test_deleting_asks_first(site: Site) -> None:
    trigger = site.api.trigger(site.api.agent("ada")["id"], "tick")
    site.sign_in()
    site.open(f"/triggers/{trigger['id']}")
    site.page.get_by_role("link", name="Delete").click()
    expect(site.page.get_by_role("heading", name="Delete tick?")).to_be_visible()
    site.page.get_by_role("link", name="Back").click()
    site.page.get_by_role("link", name="Delete").click()
    site.page.get_by_role("button", name="Delete").click()
    expect(site.page.get_by_role("status").first).to_contain_text("tick was deleted")


def test_another_tenants_trigger_is_a_page_that_does_not_exist(site: Site) -> None:
    trigger = site.api.trigger(site.api.agent("ada")["id"], "tick")
    site.sign_in(str(site.api.with_key("admin", tenant_id=site.api.tenant("rival")).key))
    site.open(f"/triggers/{trigger['id']}")
    expect(site.page.get_by_role("heading", name="Page not found")).to_be_visible()
    site.check_accessible()
