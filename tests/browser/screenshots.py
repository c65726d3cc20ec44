"""`make screenshots`: every page, light and dark, into docs/screenshots/."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import MISSING, start_chromium
from tests.browser.sample_data import play
from tests.browser.site import Site
from tests.support.api import Api, running_api, served
from tests.support.postgres import running_server

TARGET = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SETTLE_MS = 600
"""Waits until the stream's first picture and the fonts have loaded."""


def pages(api: Api) -> Iterator[tuple[str, str]]:
    """Returns each screenshot's name with its path."""
    yield from (
        (name, f"/{path}")
        for name, path in [
            ("now", ""), ("agents", "agents"), ("triggers", "triggers"), ("invocations", "invocations"),
            ("sessions", "sessions"), ("deliveries", "deliveries"), ("dead", "dead"), ("approvals", "approvals"),
            ("audit", "audit"), ("insights", "insights"), ("alerts", "alerts"), ("search", "search?q=night"),
            ("settings", "settings"), ("trigger-new", "triggers/new?type=cron"),
            ("trigger-kinds", "triggers/new"), ("agent-new", "agents/new"), ("tenant", "tenant"),
            ("models", "settings/models"), ("notifications", "settings/notifications"),
        ]
    )  # fmt: skip
    yield "agent", f"/agents/{api.get('/agents')['items'][-1]['id']}"
    kinds = {each["type"]: each["id"] for each in api.get("/triggers")["items"]}
    yield "trigger", f"/triggers/{kinds['cron']}"
    yield "trigger-poll", f"/triggers/{kinds['poll']}"
    yield "trigger-webhook", f"/triggers/{kinds['webhook']}"
    yield "trigger-edit", f"/triggers/{kinds['interval']}/edit"
    yield "invocation", f"/invocations/{api.get('/invocations', state='succeeded')['items'][0]['id']}"
    yield "session", f"/sessions/{api.get('/sessions')['items'][0]['id']}"
    yield "firing", f"/firings/{api.get('/firings')['items'][-1]['id']}"


def take(browser: Browser, api: Api, url: str, scheme: Literal["light", "dark"]) -> None:
    """Takes all screenshots in one colour scheme."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    site = Site(api, url, context)
    site.open("/sign-in")
    site.page.screenshot(path=TARGET / f"sign-in-{scheme}.png")
    site.sign_in()
    for name, path in pages(api):
        site.open(path)
        site.page.wait_for_timeout(SETTLE_MS)
        site.page.screenshot(path=TARGET / f"{name}-{scheme}.png")
    context.close()


def main() -> int:
    """Takes all of them; returns 1 without a browser."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="reveille-screenshots-") as directory:
        browser = start_chromium(playwright)
        if browser is None:
            sys.stderr.write(f"{MISSING}\n")
            return 1
        with running_server(Path(directory)) as databases, running_api(databases.create()) as api:
            play(api)
            with served(api) as url:
                for scheme in SCHEMES:
                    take(browser, api, url, scheme)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
