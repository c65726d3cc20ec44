"""Agents, the history and the settings, in a real browser."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, expect

from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed
from tests.browser.site import Site
from tests.support.database import change
from tests.support.hooks import make_hook
from tests.support.invocations import bring_to, close, end, make_agent_with_trigger, row_of, start

SCRIPT = b"<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
KIB = 1024


def test_a_sample_of_a_webhook_leads_to_its_wake(site: Site) -> None:
    hook = make_hook(site.api)
    hook.accepted(b'{"disk": "full"}', content_type="application/json")
    change(site.api.db, "UPDATE invocations SET due_at = clock_timestamp()")
    [invocation] = close(site.api.db).ready
    end(site.api.db, start(site.api.db, invocation), Failed("no such program", permanent=True))
    site.sign_in()
    site.page.get_by_role("link", name="Deliveries", exact=True).click()
    expect(site.page.locator("tbody").get_by_text("accepted", exact=True)).to_be_visible()
    site.check_accessible()
    site.page.locator("tbody a[href^='/firings/']").click()
    expect(site.page.get_by_text('{"disk": "full"}')).to_be_visible()
    site.check_accessible()
    site.page.locator("a[href^='/invocations/']").click()
    expect(site.page.get_by_role("heading", name="Invocation:")).to_be_visible()
    expect(site.page.get_by_text('{"disk": "full"}')).to_be_visible()
    expect(site.page.get_by_text("no such program").first).to_be_visible()
    site.check_accessible()


def test_a_failed_invocation_is_replayed(site: Site) -> None:
    dead = bring_to(site.api.db, make_agent_with_trigger(site.api.db), InvocationState.DEAD)
    site.sign_in()
    site.follow(site.page.get_by_role("link", name=re.compile("^Failed")))
    site.check_accessible()
    site.page.get_by_role("link", name=str(dead)[-8:], exact=True).click()
    site.follow(site.page.get_by_role("link", name="Replay"))
    site.check_accessible()
    site.page.get_by_role("button", name="Replay").click()
    expect(site.page.get_by_role("status")).to_contain_text("carries the firings again")
    assert row_of(site.api.db, dead).replayed_into == UUID(site.page.url.rpartition("/")[2])
    site.open("/dead")
    expect(site.page.get_by_text("Nothing has failed")).to_be_visible()


def test_failed_invocations_are_replayed_in_bulk(site: Site) -> None:
    for number in range(3):
        bring_to(site.api.db, make_agent_with_trigger(site.api.db, f"a{number}"), InvocationState.DEAD)
    site.sign_in()
    site.open("/dead")
    site.page.get_by_role("link", name="Replay all 3").click()
    site.page.get_by_role("button", name="Replay all").click()
    expect(site.page.get_by_text("3 done")).to_be_visible()
    site.open("/dead")
    expect(site.page.get_by_text("Nothing has failed")).to_be_visible()


def test_a_trigger_of_an_agents_is_approved(site: Site) -> None:
    trigger = site.api.trigger(site.api.agent("ada")["id"], "look again")
    change(site.api.db, "UPDATE triggers SET approval = 'awaiting', is_enabled = false")
    site.sign_in()
    site.page.get_by_role("link", name=re.compile("^Approvals")).click()
    expect(site.page.get_by_role("heading", name="look again")).to_be_visible()
    site.check_accessible()
    site.page.get_by_role("button", name="Approve").click()
    expect(site.page.get_by_role("status")).to_contain_text("look again was approved")
    expect(site.page.get_by_text("No pending approvals")).to_be_visible()
    assert site.api.get(f"/triggers/{trigger['id']}")["is_enabled"] is True


@pytest.mark.parametrize("payload", [SCRIPT, SCRIPT + b"x" * (64 * KIB - len(SCRIPT))])
def test_a_payload_is_inert_and_can_be_copied_and_downloaded(
    site: Site, context: BrowserContext, payload: bytes
) -> None:
    firing = make_hook(site.api).accepted(payload, content_type="text/html")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    site.sign_in()
    site.open(f"/firings/{firing}")
    expect(site.page).to_have_title(f"Firing {firing[-8:]} · Reveille")
    assert site.page.locator("pre img").count() == 0
    assert site.page.locator("pre code").last.text_content() == payload.decode()
    site.check_accessible()
    site.page.get_by_role("button", name="Copy").last.click()
    expect(site.page.get_by_role("button", name="Copied")).to_be_visible()
    assert site.page.evaluate("navigator.clipboard.readText()") == payload.decode()
    with site.page.expect_download() as waiting:
        site.page.get_by_role("link", name="Download the payload").click()
    assert waiting.value.path().read_bytes() == payload


def test_an_agent_is_paused_woken_and_resumed(site: Site) -> None:
    agent = site.api.agent("ada")
    site.sign_in()
    site.follow(site.page.get_by_role("link", name="Agents", exact=True))
    site.check_accessible()
    site.follow(site.page.get_by_role("link", name="ada", exact=True))
    site.check_accessible()
    site.page.get_by_label("Reason for pausing").fill("moving house")
    site.page.get_by_role("button", name="Pause").click()
    expect(site.page.get_by_text("Paused: moving house.")).to_be_visible()
    site.check_accessible()
    site.page.get_by_label("Message").fill("look at the disk")
    site.page.get_by_role("button", name="Wake now").click()
    expect(site.page.get_by_text("look at the disk")).to_be_visible()
    site.open(f"/agents/{agent['id']}")
    site.page.get_by_role("button", name="Resume").click()
    expect(site.page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_key_is_shown_once(site: Site) -> None:
    site.sign_in()
    site.follow(site.page.get_by_role("link", name="Settings", exact=True))
    site.check_accessible()
    form = site.page.locator("form[action='/settings/keys']")
    form.get_by_label("Name").fill("laptop")
    form.get_by_role("button", name="Create key").click()
    expect(site.page.get_by_text("it will not be shown again")).to_be_visible()
    key = site.page.locator("pre code").first.text_content()
    site.check_accessible()
    site.open("/settings")
    expect(site.page.get_by_text(key or "")).to_have_count(0)
    site.page.get_by_role("row", name="laptop").get_by_role("link", name="Revoke").click()
    site.page.get_by_role("button", name="Revoke").click()
    expect(site.page.get_by_role("row", name="laptop")).to_have_count(0)
