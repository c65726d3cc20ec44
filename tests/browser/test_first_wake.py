"""From an empty installation to its first wake, as a newcomer does it: real processes, a real browser."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.acceptance.fleet import ADMIN_KEY, Fleet, fleet
from tests.support.postgres import Databases

AGENT = [sys.executable, "-c", "print('Good morning.')"]


@pytest.fixture
def installed(databases: Databases, tmp_path: Path) -> Iterator[Fleet]:
    """A newly created and migrated database, a web process and a worker."""
    url = databases.create("template0")
    with fleet(url, tmp_path, REVEILLE_COMMANDS=json.dumps({"greet": AGENT})) as processes:
        processes.migrate()
        processes.start("web")
        processes.start("worker")
        processes.wait_ready()
        yield processes
    databases.drop(url)


def test_three_steps_lead_to_the_first_wake_on_a_live_page(installed: Fleet, context: BrowserContext) -> None:
    now = context.new_page()
    now.goto(installed.url)
    now.get_by_label("API key").fill(ADMIN_KEY)
    now.get_by_role("button", name="Sign in with key").click()
    expect(now.get_by_role("heading", name="Three steps to your first wake")).to_be_visible()
    expect(now.locator("#live")).to_have_text("live")

    steps = context.new_page()
    steps.goto(installed.url)
    steps.get_by_role("link", name="New agent").click()
    steps.get_by_role("link", name="command").click()
    steps.get_by_label("Name", exact=True).fill("ada")
    steps.get_by_label("Batching window (seconds)").fill("1")
    steps.get_by_role("button", name="Create agent").click()
    expect(steps.get_by_role("heading", name="ada")).to_be_visible()

    steps.goto(f"{installed.url}/triggers/new?type=interval")
    steps.get_by_label("Agent", exact=True).select_option("ada")
    steps.get_by_label("Name", exact=True).fill("tick")
    steps.get_by_role("button", name="Create trigger").click()
    steps.get_by_role("button", name="Fire now").click()
    expect(steps.get_by_role("heading", name="Invocation: ada")).to_be_visible()

    wakes = now.get_by_role("table", name="Latest wakes")
    expect(wakes.get_by_role("row").nth(1)).to_contain_text("tick")
    expect(wakes.get_by_role("row").nth(1)).to_contain_text("succeeded")
    wakes.get_by_role("link").first.click()
    expect(now.get_by_text("Good morning.").first).to_be_visible()
