"""The form of each kind of trigger and of each runtime, from the registries: tried, refused, sent, changed.

No page holds a secret that was typed into it, and none has to be typed twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Response
from playwright.sync_api import BrowserContext, Locator, expect

from api.web.forms.fields import Input
from api.web.forms.runtimes import runtime_inputs
from api.web.forms.triggers import form_of
from scheduler.runtimes.registry import RUNTIMES
from scheduler.triggers.registry import OFFERED
from tests.browser.site import Site
from tests.support.api import COMMANDS, running_api, served
from tests.support.database import rows

SECRET = "aHVzaCwgb2YgdGhlIHNlbmRlciBvbmx5"  # what no page may hold; base64, as a signing secret must be
SAMPLES = {
    "name": "of a form",
    "config.expr": "0 9 * * *",
    "config.at": "2130-01-31T09:00:00Z",
    "config.minutes": "30",
    "config.url": "http://127.0.0.1:65533/",
    "config.from_user": "grace",
    "config.name": "echo",
    "config.root": "inbox",
    "config.host": "127.0.0.1",
    "config.port": "65533",
    "config.username": "ada",
    "config.stream": "orders",
    "config.signature.scheme": "github",
    "url": "http://127.0.0.1:65533/wake",
}
"""A value for each input that some form cannot do without, by its name."""
OF_A_KIND = {("queue", "config.url"): "redis://127.0.0.1:65533"}


@dataclass
class Served:
    """A site, and the HTML of all its pages."""

    site: Site
    pages: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Checks that no page so far held the secret."""
        assert self.pages
        assert [page for page in self.pages if SECRET in page] == []


@pytest.fixture
def sent(database_url: str, context: BrowserContext, tmp_path: Path) -> Iterator[Served]:
    """The site with checks, files, and agents on loopback."""
    allowed = {
        "allow_private_hosts": "127.0.0.1",
        "checks": {"echo": ["/bin/echo", "1"]},
        "file_roots": {"inbox": str(tmp_path)},
        "commands": COMMANDS,
    }
    with running_api(database_url, **allowed) as api:
        pages: list[str] = []

        def note(response: Response) -> Response:
            if response.mimetype == "text/html" and not response.is_streamed:
                pages.append(response.get_data(as_text=True))
            return response

        api.app.after_request(note)
        with served(api) as url:
            site = Site(api, url, context)
            api.agent("ada")
            api.post("/users", {"name": "grace"})
            model = {"name": "small", "provider": "openai", "model": "gpt-x", "key": "sk-of-a-test"}
            api.post("/models", model)
            site.sign_in()
            yield Served(site, pages)
            context.close()
    assert site.complaints == []


def secrets_of(inputs: list[Input]) -> list[str]:
    return [each.name for each in inputs if each.is_secret]


def cases() -> Iterator[tuple[str, str, str]]:
    """Yields each form with each of its secrets, or with none when it has none: of what, its kind, the input."""
    for kind in OFFERED:
        yield from (("trigger", kind, name) for name in secrets_of(list(form_of(kind))) or [""])
    for kind in RUNTIMES:
        inputs = [each for _, each in runtime_inputs(kind)]
        yield from (("agent", kind, name) for name in secrets_of(inputs) or [""])


@pytest.mark.parametrize(("of", "kind", "secret"), list(cases()))
def test_a_form_keeps_what_was_typed_and_shows_no_secret(sent: Served, of: str, kind: str, secret: str) -> None:
    page, form = sent.site.page, sent.site.page.locator("main form.card").first
    sent.site.open(f"/triggers/new?type={kind}" if of == "trigger" else f"/agents/new?kind={kind}")
    unfold(sent)
    inputs = list(form_of(kind)) if of == "trigger" else [each for _, each in runtime_inputs(kind)]
    for each in inputs:
        if each.name in SAMPLES and (each.required or of == "trigger"):
            fill(form, each.name, OF_A_KIND.get((kind, each.name), SAMPLES[each.name]))
    form.locator("[name=name]").fill("of a form")
    typed = ""
    if secret:
        by_header = next(each for each in inputs if each.name == secret).kind == "headers"
        typed = f"X-Hush: {SECRET}" if by_header else SECRET
        fill(form, secret, typed)
    for button in ("Try now", "Preview"):
        if form.get_by_role("button", name=button).count():
            press(sent, form.get_by_role("button", name=button))
            check_kept(sent, secret)
    wrong = "max_fires" if of == "trigger" else "expires_at"
    right = form.locator(f"[name={wrong}]").input_value()
    for _ in range(2):  # what was kept once is kept again
        unfold(sent)
        fill(form, wrong, "soon")
        press(sent, form.locator("button.primary"))
        assert wrong in errors(sent)
        check_kept(sent, secret)
    sent.site.check_accessible()
    unfold(sent)
    fill(form, wrong, right)
    press(sent, form.locator("button.primary"))
    assert errors(sent) == {}
    (made,) = (each for each in sent.site.api.get(f"/{of}s")["items"] if each["name"] == "of a form")
    before = held(sent, of)
    assert SECRET in before if secret else True
    sent.site.open(f"/{of}s/{made['id']}/edit")
    press(sent, form.locator("button.primary"))
    said = "Nothing was changed." if of == "trigger" else "Saved."
    expect(page.get_by_role("status").first).to_contain_text(said)
    assert held(sent, of) == before
    sent.check()


def fill(form: Locator, name: str, text: str) -> None:
    """Types into an input, or chooses an option."""
    found = form.locator(f"[name='{name}']")
    if found.evaluate("each => each.tagName") == "SELECT":
        found.select_option(text)
    else:
        found.fill(text)


def press(sent: Served, button: Locator) -> None:
    """Presses a button that sends the form, and waits for the next page."""
    with sent.site.page.expect_navigation():
        button.click()


def errors(sent: Served) -> dict[str, str]:
    """Returns the errors on the page, by the names of their inputs."""
    found = sent.site.page.locator(".error").all()
    return {str(each.get_attribute("id")).removeprefix("e-"): each.inner_text() for each in found}


def unfold(sent: Served) -> None:
    """Opens what is folded."""
    sent.site.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


def check_kept(sent: Served, secret: str) -> None:
    """Checks that the page shown again keeps the secret, sealed."""
    sent.check()
    if secret:
        kept = sent.site.page.locator(f"[name='kept:{secret}']")
        expect(kept).to_have_count(1)
        assert SECRET not in kept.input_value()
        assert sent.site.page.locator(f"[name='{secret}']").input_value() == ""


def held(sent: Served, of: str) -> str:
    """Returns what is stored of the secrets, in clear."""
    column, table = ("secret", "triggers") if of == "trigger" else ("runtime_secret", "agents")
    found = rows(sent.site.api.db, f"SELECT {column} AS sealed FROM {table} WHERE name = 'of a form'")[0].sealed  # noqa: S608
    return json.dumps(None if found is None else sent.site.api.services.box.decrypt(bytes(found)))
