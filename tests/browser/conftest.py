"""Real Chromium on the real application: one browser for all tests, a database and a context for each."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.browser.chromium import MISSING, start_chromium
from tests.browser.site import Site
from tests.support.api import running_api, served

PATIENCE_MS = 20_000
"""Long enough for a busy machine; the tests do not wait for what is there sooner."""


# While Playwright runs, its thread has a running event loop, in which nothing else can call asyncio.run: it ends
# with the last of this directory's tests.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, from the system or Playwright. Without it these tests are skipped, except with CI=true."""
    with sync_playwright() as playwright:
        started = start_chromium(playwright)
        if started is None:
            if os.environ.get("CI") == "true":  # noqa: TID251  # the tests' own switch, no setting of the product
                pytest.fail(MISSING)
            pytest.skip(MISSING)
        yield started
        started.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser context without any state."""
    made = browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def site(database_url: str, context: BrowserContext) -> Iterator[Site]:
    """The application behind a real HTTP server, and a page of the browser; the console must stay free of errors."""
    with running_api(database_url) as api, served(api) as url:
        site = Site(api, url, context)
        yield site
        context.close()
    assert site.complaints == []
