"""Text that can be neither stored nor shown, in every place where a caller can put it: never an internal error."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

import api.web
from tests.support.api import Api, agent_body
from tests.support.pages import signed_in
from tests.support.routes import BODIES, NOBODY

PLACES = Path(api.web.__file__).parent
NAMES = sorted(
    {
        name
        for path in [*PLACES.glob("*.py"), *PLACES.glob("templates/*.html")]
        for name in re.findall(
            r'(?:form|args|values|given|body)(?:\.get\(|\[)"([\w.]+)"|\bname="([\w.]+)"', path.read_text()
        )
        for name in name
        if name
    }
)
"""The name of every field that a page reads or shows."""
STRANGE: dict[str, str | bytes] = {
    "NUL": "a\0b",
    "half a pair": "\ud800",
    "not UTF-8": b"\xff\xfe",
    "long": "x" * 600,
    "wild": "\u202e\U0001f469\u200d\U0001f469\u2028'\"<%s>{0}",
    "number": "9" * 400,
}


def encoded(name: str, value: str | bytes) -> bytes:
    """Returns a form or a query of one field, percent-encoded byte by byte."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return name.encode() + b"=" + b"".join(b"%%%02X" % byte for byte in data)


def rules(api: Api, method: str, *, pages: bool) -> Iterator[str]:
    for rule in api.app.url_map.iter_rules():
        is_page = rule.endpoint.startswith("web_")
        path = re.sub(r"<[^>]+>", NOBODY, rule.rule)
        lasting = "live" in path or "/stream" in path or "events" in path or path.startswith("/ws")
        if is_page is pages and method in (rule.methods or set()) and not lasting and path != "/readyz":
            yield path


def is_no_fault(response: TestResponse, where: object) -> None:
    status = response.status_code
    response.close()
    assert status < 500, where


@pytest.mark.parametrize("kind", STRANGE)
def test_every_parameter_of_every_page(api: Api, kind: str) -> None:
    browser = signed_in(api)
    query = b"&".join(encoded(name, STRANGE[kind]) for name in NAMES)
    for path in rules(api, "GET", pages=True):
        is_no_fault(browser.client.get(path, query_string=query.decode()), (path, kind))


@pytest.mark.parametrize("kind", STRANGE)
def test_every_field_of_every_form(api: Api, kind: str) -> None:
    agent_id = api.agent("ada")["id"]
    browser = signed_in(api)
    fields = [
        encoded("csrf", browser.token()),
        *(encoded(name, STRANGE[kind]) for name in NAMES if name != "csrf"),
    ]
    for path in sorted(rules(api, "POST", pages=True), key=lambda path: path == "/sign-out"):
        for reached in {path, path.replace(NOBODY, agent_id)}:
            response = browser.client.post(
                reached, data=b"&".join(fields), content_type="application/x-www-form-urlencoded"
            )
            is_no_fault(response, (reached, kind))


@pytest.mark.parametrize("kind", STRANGE)
def test_every_parameter_and_path_of_the_api(api: Api, kind: str) -> None:
    client = api.app.test_client()
    names = [
        "q",
        "limit",
        "after",
        "agent_id",
        "trigger_id",
        "state",
        "focus_ref",
        "action",
        "subject_id",
        "since",
    ]
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        for path in rules(api, method, pages=False):
            strange = path.replace(NOBODY, encoded("", STRANGE[kind]).decode()[1:][:2000])
            for name in names:
                asked = f"{strange}?{encoded(name, STRANGE[kind]).decode()}"
                response = client.open(
                    asked, method=method, headers=api.headers, json={} if method != "GET" else None
                )
                is_no_fault(response, (method, asked[:200], kind))
                if method != "GET":
                    break


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_every_field_of_every_body(api: Api, text: str) -> None:
    for route, name in [(route, name) for route, fields in BODIES.items() for name in fields]:
        method, _, rule = route.partition(" ")
        path = "/api/v1" + re.sub(r"<[^>]+>", NOBODY, rule)
        body = json.dumps({**BODIES[route], name: text})
        response = api.app.test_client().open(
            path, method=method, headers=api.headers, data=body, content_type="application/json"
        )
        assert response.status_code == 422, (route, name, response.text)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/api-keys", '{"name": "k", "scopes": ["read"], "scopes": ["admin"]}'),
        ("/api/v1/agents", json.dumps(agent_body("bob"))[:-1] + ', "runtime": {"kind": "http", "kind": "llm"}}'),
    ],
)
def test_a_member_that_is_there_twice_is_refused(api: Api, path: str, body: str) -> None:
    response = api.app.test_client().post(path, headers=api.headers, data=body, content_type="application/json")
    assert response.status_code == 400
    assert "twice" in response.get_json()["detail"]


@pytest.mark.parametrize("path", ["/mcp", "/a2a/{agent_id}"])
@pytest.mark.parametrize("field", ["id", "method"])
def test_half_a_pair_in_a_message_of_json_rpc(api: Api, path: str, field: str) -> None:
    agent_id = api.agent("ada")["id"]
    own = api.with_key(f"agent:{agent_id}")
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": "1", "method": "ping", "params": {}, field: "\ud800"}
    response = api.app.test_client().post(
        path.format(agent_id=agent_id),
        headers={**own.headers, "Accept": "application/json", "A2A-Version": "1.0"},
        data=json.dumps(message),
        content_type="application/json",
    )
    assert response.status_code < 500
    assert "error" in response.get_json()
