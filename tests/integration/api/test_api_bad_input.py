"""Invalid input is refused with a clear problem, never a 500. The tests share one database: nothing is created."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from api.body import MAX_BODY_BYTES
from scheduler.domain.field_errors import MESSAGE_LENGTH
from tests.support.api import Api, agent_body, trigger_body

UNKNOWN = "01890000-0000-7000-8000-000000000000"


pytestmark = pytest.mark.usefixtures("nothing_is_made")


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"", None, 400),
        (b"{", "application/json", 400),
        (b'{"name": "x",}', "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": -Infinity}', "application/json", 400),
        (b"\xff\xfe\xff", "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"n": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b'{"name": "x"}', "text/plain", 415),
        (b'{"name": "x"}', None, 415),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b'"{\\"name\\": \\"x\\"}"', "application/json", 422),
        (b'{"name": ' + b'"x"' * 400_000 + b"}", "application/json", 413),
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    shared: Api, data: bytes, content_type: str | None, status: int
) -> None:
    """400 for what is not JSON, 415 for a missing content type, 422 for JSON that is not an object."""
    for method, path in (("POST", "/agents"), ("PATCH", f"/agents/{UNKNOWN}"), ("POST", "/triggers/preview")):
        shared.refused(status, method, path, data=data, content_type=content_type)


def test_malformed_json_says_where(shared: Api) -> None:
    """Line and column, for people who wrote it by hand."""
    problem = shared.refused(400, "POST", "/agents", data=b'{"name" "x"}', content_type="application/json")
    assert "line 1 column 9" in problem["detail"]


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 10_000_000])
def test_a_body_of_more_than_a_mebibyte_is_refused(shared: Api, size: int) -> None:
    """413, with a Content-Length or without."""
    data = json.dumps({"name": "x" * size}).encode()
    shared.refused(413, "POST", "/agents", data=data, content_type="application/json")
    chunked = {"wsgi.input": BytesIO(data), "wsgi.input_terminated": True}
    shared.refused(413, "POST", "/agents", content_type="application/json", environ_overrides=chunked)


@pytest.mark.parametrize(
    ("text", "rule"),
    [("a\0b", "nul"), ("a\ud800b", "surrogate"), ("\udfff", "surrogate"), ("x" * 10_001, "string_too_long")],
)
def test_text_that_cannot_be_stored_is_refused(shared: Api, agent_id: str, text: str, rule: str) -> None:
    """NUL and lone surrogates cannot be stored or shown; the problem names the field."""
    nested: dict[str, Any] = {"signature": {"scheme": "github", "secret": text}}
    role = shared.refused(422, "POST", "/agents", agent_body("new", role_description=text))
    assert role["errors"] == [{"field": "role_description", "rule": rule, "message": role["errors"][0]["message"]}]
    path = f"/agents/{agent_id}/triggers"
    if rule != "string_too_long":
        config = shared.refused(422, "POST", path, trigger_body(type="webhook", config=nested))
        assert config["field"] == "config.signature.secret"
        key = shared.refused(422, "POST", path, trigger_body(config={text: 1}))
        assert key["field"] == "config"
        assert shared.refused(422, "POST", "/agents/" + agent_id + "/pause", {"note": text})["field"] == "note"


def test_a_number_beyond_every_type_is_refused(shared: Api) -> None:
    """JSON can express it, but no float can hold it."""
    data = b'{"name": "new", "runtime": {"kind": "command", "name": "echo"}, "dedup_delay_seconds": 1e999}'
    problem = shared.refused(422, "POST", "/agents", data=data, content_type="application/json")
    assert problem["field"] == "dedup_delay_seconds"


def test_every_wrong_field_is_named_at_once(shared: Api, agent_id: str) -> None:
    """So that nobody has to try again for each."""
    body = {"type": "cron", "max_fires": -1, "urgent": "no", "colour": "red"}
    problem = shared.refused(422, "POST", f"/agents/{agent_id}/triggers", body)
    assert {error["field"] for error in problem["errors"]} == {"name", "max_fires", "urgent", "colour"}
    assert all(error["rule"] and error["message"] for error in problem["errors"])


def test_a_problem_repeats_little_of_what_was_sent(shared: Api) -> None:
    """No long echo, and never a secret."""
    secret = "hunter2" * 10
    runtime = {"kind": "http", "url": 5, "secret": secret}
    problem = shared.refused(422, "POST", "/agents", {"name": "new", "runtime": runtime, "k" * 9000: secret})
    assert secret not in str(problem)
    assert all(len(error["field"]) <= MESSAGE_LENGTH for error in problem["errors"])
    kind = shared.refused(422, "POST", "/agents", {"name": "new", "runtime": {"kind": "z" * 100_000}})
    assert len(str(kind)) < 2000


def test_a_body_nested_too_deeply_is_refused(shared: Api, agent_id: str) -> None:
    """422 before anything else reads it."""
    config: dict[str, Any] = {}
    for _ in range(40):
        config = {"a": config}
    problem = shared.refused(422, "POST", f"/agents/{agent_id}/triggers", trigger_body(config=config))
    assert problem["errors"][0]["rule"] == "depth"


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/agents", {"limit": "0"}, "limit"),
        ("/agents", {"limit": "201"}, "limit"),
        ("/agents", {"limit": "many"}, "limit"),
        ("/agents", {"limit": "9" * 5000}, "limit"),
        ("/agents", {"after": "\0"}, "after"),
        ("/agents", {"after": "zzz"}, "after"),
        ("/agents", {"colour": "red"}, "colour"),
        ("/triggers", {"agent_id": "x"}, "agent_id"),
        ("/firings", {"state": "lost"}, "state"),
        ("/firings", {"trigger_id": "1"}, "trigger_id"),
        ("/invocations", {"state": "PENDING"}, "state"),
        ("/audit", {"action": "\0"}, "action"),
        ("/audit", {"action": "a.b.c"}, "action"),
        ("/audit", {"subject_id": "-1"}, "subject_id"),
        ("/tenants", {"limit": "-1"}, "limit"),
        ("/api-keys", {"after": "' OR 1=1"}, "after"),
    ],
)
def test_an_invalid_query_is_refused(shared: Api, path: str, query: dict[str, str], field: str) -> None:
    """422 with the parameter's name, also for an unknown one: a mistyped filter must not show everything."""
    assert shared.refused(422, "GET", path, query_string=query)["field"] == field


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"scopes": "read"},
        {"scopes": ["read", "read"]},
        {"scopes": ["read", f"agent:{UNKNOWN}"]},
        {"scopes": [f"agent:{UNKNOWN}"]},
        {"scopes": ["agent:me"]},
        {"scopes": [f"agent:{UNKNOWN}"], "tenant_id": None},
        {"tenant_id": "default"},
        {"name": ""},
        {"key": "of my own"},
    ],
    ids=str,
)
def test_a_malformed_key_is_refused(shared: Api, change: dict[str, Any]) -> None:
    """422 with the field's name, and no key is created."""
    problem = shared.refused(422, "POST", "/api-keys", {"name": "new", "scopes": ["read"]} | change)
    assert problem["field"].partition(".")[0] == next(iter(change))
    assert len(shared.get("/api-keys")["items"]) == 1


def test_a_key_for_an_unknown_tenant_is_refused(shared: Api) -> None:
    """404, as for every unknown id."""
    shared.refused(404, "POST", "/api-keys", {"name": "new", "scopes": ["read"], "tenant_id": UNKNOWN})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "//nothing", 404),
        ("GET", "//docs/swagger/../../etc/passwd", 404),
        ("PUT", "/agents", 405),
        ("DELETE", "/firings", 405),
        ("GET", "/triggers/preview", 405),
        ("GET", f"/agents/{UNKNOWN}/pause", 405),
        ("POST", "//healthz", 405),
    ],
)
def test_unknown_routes_are_answered_with_a_problem(shared: Api, method: str, path: str, status: int) -> None:
    """These are problems too, and a 405 says what is allowed."""
    shared.refused(status, method, path)
    if status == 405:
        assert shared.call(method, path).headers["Allow"]
