"""What the browser's tests share: the running site, signing in, and the check of accessibility."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import BrowserContext, ConsoleMessage

from tests.support.api import Api

SERIOUS = {"serious", "critical"}


class Site:
    """The site in a browser's page, with the API beside it."""

    def __init__(self, api: Api, url: str, context: BrowserContext) -> None:
        self.api = api
        self.url = url
        self.page = context.new_page()
        self.complaints: list[str] = []
        """Errors of scripts and breaches of the policy, which the page's console told of."""
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> None:
        """Go to a path and wait until the page is there."""
        self.page.goto(self.url + path)

    def sign_in(self, key: str | None = None) -> None:
        """Sign in by a key, the operator's unless given."""
        self.open("/sign-in")
        self.page.get_by_label("API key").fill(key or self.api.key or "")
        self.page.get_by_role("button", name="Sign in with key").click()
        self.page.wait_for_url(self.url + "/")

    def check_accessible(self) -> None:
        """axe finds nothing serious on the page as it stands."""
        found = Axe().run(self.page).response["violations"]
        serious = [
            f"{each['id']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
            for each in found
            if each["impact"] in SERIOUS
        ]
        assert serious == [], self.page.url

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)
