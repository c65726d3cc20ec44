"""Our agents over plain A2A: permissions, the card, both versions, errors; compared with recorded exchanges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.domain.run import Replied
from tests.support import conformance
from tests.support.a2a_client import immediate, message, rpc, sent, talk
from tests.support.api import Api, served
from tests.support.invocations import run_once


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada", role_description="Keeps the books.", dedup_delay_seconds=0)["id"])


@pytest.fixture
def url(api: Api, agent_id: str) -> Iterator[str]:
    with served(api) as base:
        yield f"{base}/a2a/{agent_id}"


def test_another_tenants_agent_is_not_there(api: Api, url: str, agent_id: str) -> None:
    task = talk(url, api.key, lambda client: sent(client, message()))
    rival = api.with_key("admin", tenant_id=api.tenant("rival"))
    other = rival.post("/agents", {"name": "eve", "runtime": {"kind": "command", "name": "echo"}})["id"]
    get = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": task.id}}
    rival.refused(404, "GET", f"//a2a/{agent_id}/.well-known/agent-card.json")
    rival.refused(404, "POST", f"//a2a/{agent_id}", get)
    assert rpc(rival, other, get)["error"]["code"] == -32001
    for method in ("GetTask", "CancelTask"):
        stranger = {**get, "method": method}
        assert rpc(rival, other, stranger)["error"]["code"] == -32001


def test_keys_have_the_same_access_as_elsewhere(api: Api, agent_id: str) -> None:
    """A write key or the agent's own; a read key sees the card."""
    get = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "nope"}}
    card, path = f"//a2a/{agent_id}/.well-known/agent-card.json", f"//a2a/{agent_id}"
    other_id = api.agent("grace")["id"]
    for caller, seen, called in (
        (api.as_(None), 401, 401),
        (api.as_("rvl_wrong"), 401, 401),
        (api.with_key("read"), 200, 403),
        (api.with_key("write"), 200, 200),
        (api.with_key(f"agent:{agent_id}"), 200, 200),
        (api.with_key(f"agent:{other_id}"), 404, 404),
    ):
        assert caller.call("GET", card).status_code == seen
        assert caller.call("POST", path, get).status_code == called
    api.refused(404, "GET", "//a2a/nobody/.well-known/agent-card.json")
    assert "Bearer" in api.as_(None).call("GET", card).headers["WWW-Authenticate"]


def test_a_wake_that_comes_too_often_is_429(api: Api, agent_id: str) -> None:
    """The pair limit applies here too: the agent's own key calls as the agent."""
    own = api.with_key(f"agent:{agent_id}")
    for number in range(3):
        rpc(own, agent_id, immediate(str(number)))
        run_once(api.db, Replied(""))
    problem = own.call("POST", f"//a2a/{agent_id}", immediate("last"), headers={"A2A-Version": "1.0"})
    assert problem.status_code == 429
    assert int(problem.headers["Retry-After"]) > 0


def test_the_card_has_what_both_versions_look_for(api: Api, agent_id: str) -> None:
    response = api.call("GET", f"//a2a/{agent_id}/.well-known/agent-card.json")
    card = api.ok(response, 200)
    assert {"name", "description", "supportedInterfaces", "version", "capabilities", "skills"} <= set(card)
    assert (card["name"], card["description"]) == ("ada", "Keeps the books.")
    assert [each["protocolVersion"] for each in card["supportedInterfaces"]] == ["1.0", "0.3"]
    assert card["url"].endswith(f"/a2a/{agent_id}")
    etag = response.headers["ETag"]
    again = api.call("GET", f"//a2a/{agent_id}/.well-known/agent-card.json", headers={"If-None-Match": etag})
    assert again.status_code == 304


def test_the_card_has_the_fields_of_the_recorded_one(api: Api, agent_id: str) -> None:
    card = api.ok(api.call("GET", f"//a2a/{agent_id}/.well-known/agent-card.json"), 200)
    assert set(json.loads(exchange("agent_card")["response"]["body"])) - {"provider"} <= set(card)


@pytest.mark.parametrize(("query", "header"), [("", "1.0"), ("?A2A-Version=1.0", None)])
def test_the_card_for_1_0_has_only_its_own_members(
    api: Api, agent_id: str, query: str, header: str | None
) -> None:
    headers = {"A2A-Version": header} if header else {}
    response = api.call("GET", f"//a2a/{agent_id}/.well-known/agent-card.json{query}", headers=headers)
    card = api.ok(response, 200)
    assert [list(each) for each in card["securitySchemes"].values()] == [["httpAuthSecurityScheme"]]
    assert "url" not in card
    assert "A2A-Version" in response.headers["Vary"]


def test_the_version_may_be_named_in_the_query_and_is_known_by_what_only_one_has(api: Api, agent_id: str) -> None:
    listing = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    assert rpc(api, agent_id, listing, version=None)["result"]["tasks"] == []
    assert rpc(api, agent_id, listing, version="0.3")["error"]["code"] == -32009
    old = api.ok(api.call("POST", f"//a2a/{agent_id}?A2A-Version=0.5", listing), 200)
    assert old["error"]["code"] == -32009


def test_a_caller_of_0_3_is_understood(api: Api, agent_id: str) -> None:
    said = {"kind": "message", "messageId": "1", "role": "user", "parts": [{"kind": "text", "text": "hi"}]}
    params = {"message": said, "configuration": {"blocking": False}}
    send = {"jsonrpc": "2.0", "id": "a", "method": "message/send", "params": params}
    task = rpc(api, agent_id, send, version=None)["result"]
    assert (task["kind"], task["status"]["state"]) == ("task", "submitted")
    run_once(api.db, Replied("Done."))
    get = {"jsonrpc": "2.0", "id": 2, "method": "tasks/get", "params": {"id": task["id"]}}
    answer = rpc(api, agent_id, get, version="0.3")
    assert answer["id"] == 2
    assert answer["result"]["status"]["state"] == "completed"
    assert answer["result"]["artifacts"][0]["parts"] == [{"kind": "text", "text": "Done."}]
    cancel = {"jsonrpc": "2.0", "id": 3, "method": "tasks/cancel", "params": {"id": task["id"]}}
    assert rpc(api, agent_id, cancel, version=None)["error"]["code"] == -32002
    assert rpc(api, agent_id, {**get, "params": {}}, version=None)["error"]["code"] == -32602


def exchange(name: str) -> Any:
    """Reads a recorded exchange; called by the tests that need it, so that the others run without."""
    return next(each for each in conformance.load("a2a/exchanges.json")["exchanges"] if each["name"] == name)


@pytest.mark.parametrize(
    "name",
    ["error_task_not_found", "error_method_not_found", "error_version_not_supported", "error_parse"],
)
def test_an_error_is_that_of_the_recorded_exchange(api: Api, agent_id: str, name: str) -> None:
    request, recorded = exchange(name)["request"], json.loads(exchange(name)["response"]["body"])
    response = api.call("POST", f"//a2a/{agent_id}", request["json"], headers=request["headers"])
    answer = api.ok(response, exchange(name)["response"]["status"])
    assert outline(answer) == outline(recorded)
    assert response.content_type == "application/json"


def test_a_completed_task_has_the_shape_of_the_recorded_one(api: Api, agent_id: str) -> None:
    """It can neither be cancelled nor lost."""
    sending = dict(exchange("send_message_artifact")["request"]["json"])
    sending["params"] = sending["params"] | {"configuration": {"returnImmediately": True}}
    task = rpc(api, agent_id, sending)["result"]["task"]
    run_once(api.db, Replied("Generated text content"))
    getting = exchange("get_task")["request"]["json"] | {"params": {"id": task["id"]}}
    shown = rpc(api, agent_id, getting)["result"]
    recorded = json.loads(exchange("send_message_artifact")["response"]["body"])["result"]["task"]
    assert set(recorded) == set(shown)
    assert set(recorded["status"]) == set(shown["status"])
    assert recorded["status"]["state"] == shown["status"]["state"]
    assert recorded["artifacts"][0]["parts"] == shown["artifacts"][0]["parts"]
    assert set(recorded["history"][0]) == set(shown["history"][0])
    cancelling = exchange("error_cancel_completed")["request"]["json"] | {"params": {"id": task["id"]}}
    refused = json.loads(exchange("error_cancel_completed")["response"]["body"])
    assert outline(rpc(api, agent_id, cancelling)) == outline(refused)


def outline(answer: dict[str, Any]) -> dict[str, Any]:
    """Returns an error without its texts."""
    error = answer["error"]
    reasons = [(each["@type"], each["reason"], each["domain"]) for each in error.get("data", [])]
    return {"id": answer["id"], "jsonrpc": answer["jsonrpc"], "code": error["code"], "reasons": reasons}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{not json", -32700),
        (b"\xff\xfe", -32700),
        (b"", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "1.0", "method": "GetTask", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "method": 5, "id": {}}', -32600),
        (b'{"jsonrpc": "2.0", "method": "GetTask", "id": true, "params": []}', -32600),
        (b'{"jsonrpc": "2.0", "method": "GetTask", "id": 1, "params": {"id": {}}}', -32602),
        (b'{"jsonrpc": "2.0", "method": "SendMessage", "id": 1, "params": {}}', -32602),
        (
            b'{"jsonrpc": "2.0", "method": "SendMessage", "id": 1, "params": {"message": {"messageId": "a\\u0000"}}}',
            -32602,
        ),
        (b'{"jsonrpc": "2.0", "method": "SendStreamingMessage", "id": 1}', -32004),
        (b'{"jsonrpc": "2.0", "method": "CreateTaskPushNotificationConfig", "id": 1}', -32003),
        (
            b'{"jsonrpc": "2.0", "method": "GetTask", "id": 1, "params": ' + b"[" * 5000 + b"]" * 5000 + b"}",
            -32700,
        ),
    ],
)
def test_a_bad_request_is_an_error_of_the_protocol(api: Api, agent_id: str, data: bytes, code: int) -> None:
    response = api.call("POST", f"//a2a/{agent_id}", data=data, headers={"A2A-Version": "1.0"})
    answer = api.ok(response, 200)
    assert answer["error"]["code"] == code
    assert api.get("/firings")["items"] == []


def test_a_body_that_is_too_large_is_413(api: Api, agent_id: str) -> None:
    api.refused(413, "POST", f"//a2a/{agent_id}", data=b"x" * 1_100_000)


@pytest.mark.parametrize("version", ["1.0", "0.3"])
def test_data_parts_are_shown_as_they_were_sent(api: Api, agent_id: str, version: str) -> None:
    """The SDK's types would turn numbers into doubles."""
    written = '{"id": 12345678901234567890, "price": 10.00, "huge": 1e400, "é": [1]}'
    body = immediate("data")
    if version == "0.3":
        body |= {"method": "message/send"}
        body["params"] = {"message": {"messageId": "data", "role": "user"}, "configuration": {"blocking": False}}
    body["params"]["message"] |= {"parts": [{"data": "HERE"} | ({"kind": "data"} if version == "0.3" else {})]}
    answer = api.call(
        "POST",
        f"//a2a/{agent_id}",
        data=json.dumps(body).replace('"HERE"', written).encode(),
        content_type="application/json",
        headers={"A2A-Version": version},
    )
    assert "result" in api.ok(answer, 200)
    [firing] = api.get("/firings")["items"]
    assert api.get(f"/firings/{firing['id']}")["data"]["messages"][0]["text"] == written


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("message/stream", -32004),
        ("tasks/resubscribe", -32004),
        ("agent/getAuthenticatedExtendedCard", -32004),
        ("tasks/pushNotificationConfig/set", -32003),
        ("tasks/pushNotificationConfig/delete", -32003),
        ("tasks/send", -32601),
    ],
)
@pytest.mark.parametrize("version", [None, "0.3"])
def test_methods_that_the_card_denies_are_refused_by_their_code(
    api: Api, agent_id: str, method: str, code: int, version: str | None
) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"id": "x"}}
    assert rpc(api, agent_id, body, version)["error"]["code"] == code
