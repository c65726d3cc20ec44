"""Rules for every page: who may see it, and that no form works without its token."""

from __future__ import annotations

import re
from collections.abc import Iterator

from api.auth import Level
from tests.support.api import Api
from tests.support.pages import Browser, signed_in

PUBLIC = {"web_static", "web_sign_in"}
NOBODY = "00000000-0000-7000-8000-0000000000ff"


def pages(api: Api, method: str) -> Iterator[tuple[str, str]]:
    """Returns the endpoint and the path, with empty ids, of every page that accepts `method`."""
    for rule in api.app.url_map.iter_rules():
        blueprint = rule.endpoint.partition(".")[0]
        if blueprint.startswith("web_") and blueprint not in PUBLIC and method in (rule.methods or set()):
            yield rule.endpoint, re.sub(r"<[^>]+>", NOBODY, rule.rule.replace("<int:number>", "1"))


def test_every_page_sends_who_is_signed_out_to_sign_in(api: Api) -> None:
    client = Browser(api).client
    asked = [(method, path) for method in ("GET", "POST") for _, path in pages(api, method)]
    assert len(asked) > 30
    for method, path in asked:
        response = client.open(path, method=method)
        assert response.status_code == 303, f"{method} {path}: {response.status_code}"
        assert response.location.startswith("/sign-in"), f"{method} {path}: {response.location}"


def test_every_form_is_refused_without_its_token(api: Api) -> None:
    browser = signed_in(api)
    for _, path in pages(api, "POST"):
        assert browser.client.post(path).status_code == 403, path
        assert browser.client.post(path, data={"csrf": "0" * 64}).status_code == 403, path


def test_every_page_asks_as_much_as_it_changes(api: Api) -> None:
    """A reader can submit no form except those about their own session, and sees no page that changes anything."""
    reader = signed_in(api, api.with_key("read").key)
    token = reader.token("/")
    harmless = {"/zone", "/sign-out", "/tenant", "/triggers/preview"}
    for _, path in pages(api, "POST"):
        if path not in harmless and not path.startswith("/settings/sign-ins/"):  # one's own may be ended
            assert reader.client.post(path, data={"csrf": token}).status_code == 403, path
    for endpoint, path in pages(api, "GET"):
        level = api.app.view_functions[endpoint].access.level  # type: ignore[union-attr]
        response = reader.client.get(path)
        assert (response.status_code == 403) == (level > Level.READ), path
        response.close()


def test_every_page_of_one_thing_has_no_page_for_an_unknown_one(api: Api) -> None:
    browser = signed_in(api)
    for _, path in pages(api, "GET"):
        if NOBODY in path:
            response = browser.client.get(path)
            assert response.status_code == 404, path
            assert response.content_type.startswith("text/html"), path


def test_no_page_allows_inline_script(api: Api) -> None:
    browser = signed_in(api)
    for _, path in pages(api, "GET"):
        response = browser.client.get(path)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"], path
        assert "unsafe" not in response.headers["Content-Security-Policy"], path
        response.close()


def test_an_unknown_address_is_a_page_for_browsers_and_a_problem_for_programs(api: Api) -> None:
    client = Browser(api).client
    page = client.get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 404
    assert "Page not found" in page.text
    assert "style-src 'self'" in page.headers["Content-Security-Policy"]
    assert client.get("/nowhere").content_type == "application/problem+json"
    below_the_api = client.get("/api/v1/nowhere", headers={"Accept": "text/html"})
    assert below_the_api.content_type == "application/problem+json"
