"""What the browser's tests share: the running site, signing in, and the accessibility check."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator

from tests.support.api import Api

AXE = Axe()
RULES = {"label-content-name-mismatch": {"enabled": True}}
"""Additional axe rules that are not on by default."""


class Site:
    """The site in a browser's page, and its API."""

    def __init__(self, api: Api, url: str, context: BrowserContext) -> None:
        self.api = api
        self.url = url
        self.page = context.new_page()
        self.complaints: list[str] = []
        """Errors of scripts and breaches of the policy, which the page's console told of."""
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> None:
        """Opens a path and waits until the page has loaded."""
        self.page.goto(self.url + path)

    def follow(self, element: Locator) -> None:
        """Clicks a link or button and waits until the page that it leads to has loaded.

        A click alone may return while the page before is still there: a check would then be of that page, or end when
        it goes.
        """
        with self.page.expect_navigation():
            element.click()

    def sign_in(self, key: str | None = None) -> None:
        """Signs in with a key, by default the operator's."""
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(key or self.api.key or "")
        self.page.get_by_role("button", name="Sign in with key").click()
        self.page.wait_for_url(self.url + "/")

    def check_accessible(self, *, only: tuple[str, ...] = ()) -> None:
        """Checks that axe finds nothing on the current page; `only` names the rules to apply."""
        options: dict[str, object] = {"resultTypes": ["violations"], "rules": RULES}
        if only:
            options |= {"runOnly": {"type": "rule", "values": list(only)}}
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.axe_script)
        found = self.page.evaluate("options => axe.run(options)", options)["violations"]
        assert [_told(each) for each in found] == [], self.page.url

    def check_width(self) -> None:
        """Checks that the page itself does not scroll sideways."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), self.page.url

    def check_tables(self) -> None:
        """Checks that no table is wider than its frame."""
        cut = "each => each.filter(it => it.scrollWidth > it.clientWidth + 1).map(it => it.ariaLabel)"
        assert self.page.locator(".scroll").evaluate_all(cut) == [], self.page.url

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


def _told(violation: dict[str, Any]) -> str:
    return f"{violation['id']}: {[node['html'][:200] for node in violation['nodes'][:3]]}"
