"""/mcp as HTTP: what is answered, accepted and refused, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.support.api import Api, Caller

ACCEPT = {"Accept": "application/json, text/event-stream"}


def post(caller: Caller, body: object, **options: Any) -> TestResponse:
    """POSTs one message."""
    headers = ACCEPT | options.pop("headers", {})
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    options = {"content_type": "application/json"} | options
    return caller.call("POST", "//mcp", data=data, headers=headers, **options)


def request(method: str, id_: object = 1, **params: Any) -> dict[str, Any]:
    """Builds a JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


@pytest.fixture
def own(api: Api) -> Caller:
    """Returns an agent's own key."""
    return api.with_key(f"agent:{api.agent('ada')['id']}")


def error_of(response: TestResponse, status: int) -> Any:
    """Returns the JSON-RPC error of a refusal."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    message = response.json
    assert message is not None and message["jsonrpc"] == "2.0"
    return message["error"]


def test_initialize_agrees_on_a_version_that_both_speak(own: Caller) -> None:
    for asked, agreed in (
        ("2025-06-18", "2025-06-18"),
        ("2024-11-05", "2025-11-25"),
        ("2099-01-01", "2025-11-25"),
    ):
        about = {"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        response = post(own, request("initialize", "a", protocolVersion=asked, **about))
        answer = response.json
        assert answer is not None and answer["id"] == "a"
        assert answer["result"]["protocolVersion"] == agreed
        assert answer["result"]["capabilities"] == {"tools": {"listChanged": False}}
        assert "Mcp-Session-Id" not in response.headers
    assert error_of(post(own, request("initialize")), 200)["code"] == -32602


def test_ping_is_answered_and_unknown_methods_are_refused(own: Caller) -> None:
    assert post(own, request("ping", 0)).json == {"jsonrpc": "2.0", "id": 0, "result": {}}
    assert error_of(post(own, request("resources/list")), 200)["code"] == -32601
    unknown = error_of(post(own, request("tools/call", name="burn_the_house")), 200)
    assert unknown["code"] == -32602 and "set_trigger" in unknown["message"]
    assert error_of(post(own, request("tools/call", name="list_triggers", arguments=[1])), 200)["code"] == -32602


def test_notifications_and_answers_are_taken_without_an_answer(own: Caller) -> None:
    for message in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/unknown", "params": {}},
        {"jsonrpc": "2.0", "id": 7, "result": {}},
    ):
        response = post(own, message)
        assert (response.status_code, response.data) == (202, b"")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b'{"a": NaN}', -32700),
        (b"[" * 100_000, -32700),
        ([request("ping")], -32600),
        ("ping", -32600),
        ({"method": "ping", "id": 1}, -32600),
        ({"jsonrpc": "2.0", "id": None, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": True, "method": "ping"}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}, -32602),
    ],
)
def test_anything_but_a_message_is_refused(own: Caller, body: object, code: int) -> None:
    assert error_of(post(own, body), 400)["code"] == code


def test_unacceptable_headers_and_methods_are_refused(own: Caller) -> None:
    ping = request("ping")
    assert "application/json" in error_of(post(own, ping, content_type="text/plain"), 415)["message"]
    error_of(post(own, ping, headers={"Accept": "text/html"}), 406)
    wrong = error_of(post(own, ping, headers={"MCP-Protocol-Version": "1999-01-01"}), 400)
    spoken = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]
    assert wrong["data"] == {"supported": spoken, "requested": "1999-01-01"}
    assert post(own, ping, headers={"MCP-Protocol-Version": "2025-06-18"}).status_code == 200
    for method in ("GET", "DELETE", "PUT"):
        response = own.call(method, "//mcp")
        assert response.status_code == 405 and "POST" in response.headers["Allow"]
    assert post(own, b" " * (1024 * 1024 + 1)).status_code == 413


def test_a_request_from_another_sites_page_is_refused(own: Caller) -> None:
    """A browser names the page that calls; DNS rebinding sends the stranger's host as ours."""
    ping = request("ping")
    for origin in ("http://evil.example", "null", "http://localhost.evil.example", "https://evil.example:8080"):
        error_of(post(own, ping, headers={"Origin": origin}), 403)
        host = origin.rpartition("/")[2]
        assert post(own, ping, headers={"Origin": origin, "Host": host}).status_code == 400
    for origin in ("http://localhost:6274", "http://127.0.0.1", "http://[::1]:80"):
        assert post(own, ping, headers={"Origin": origin}).status_code == 200


def test_it_takes_an_agents_own_key(api: Api) -> None:
    ping = request("ping")
    for key in (None, "rvl_wrong"):
        response = post(api.as_(key), ping)
        error_of(response, 401)
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    for caller, scope in ((api, "operator"), *((api.with_key(each), each) for each in ("admin", "write", "read"))):
        said = error_of(post(caller, ping), 403)["message"]
        assert f"scope {scope}" in said and "agent:ID" in said


def test_what_cannot_be_stored_stops_no_tool(own: Caller) -> None:
    """U+0000, a lone surrogate and deep nesting are as easy to send as any other JSON."""
    deep: Any = {}
    for _ in range(50):
        deep = {"a": deep}
    arguments = {"name": "a\0b", "type": "cron", "reason": "\ud800", "config": {"expr": "0 9 * * *"}}
    for given in (arguments, {**arguments, "config": {"expr": "\0"}}, {**arguments, "config": deep}):
        answer = post(own, request("tools/call", name="set_trigger", arguments=given)).json
        assert answer is not None and "result" in answer, answer
