"""Listing tasks over A2A, what the protocol refuses, and public cards."""

from __future__ import annotations

from typing import Any

import pytest
from a2a.types.a2a_pb2 import Artifact, Message, Part, Role, Task, TaskState, TaskStatus

from scheduler.domain.run import Replied
from scheduler.runtimes.a2a_outcomes import outcome_of
from tests.support.a2a_client import immediate, rpc
from tests.support.api import Api
from tests.support.invocations import close, run_once


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada", dedup_delay_seconds=0)["id"])


def listed(api: Api, agent_id: str, **params: Any) -> Any:
    return rpc(api, agent_id, {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": params})


def send(api: Api, agent_id: str, message_id: str, context: str | None = None) -> str:
    body = immediate(message_id)
    if context:
        body["params"]["message"]["contextId"] = context
    return str(rpc(api, agent_id, body)["result"]["task"]["id"])


def test_tasks_are_listed_by_page_state_context_and_time(api: Api, agent_id: str) -> None:
    empty = listed(api, agent_id)["result"]
    assert empty == {"tasks": [], "nextPageToken": "", "pageSize": 0, "totalSize": 0}
    done = send(api, agent_id, "a", "talk")
    run_once(api.db, Replied("It is done."))
    waiting = [send(api, agent_id, name) for name in "bcd"]
    every = listed(api, agent_id)["result"]
    assert [each["id"] for each in every["tasks"]] == [*reversed(waiting), done]
    assert "artifacts" not in every["tasks"][-1]
    first = listed(api, agent_id, pageSize=3)["result"]
    assert (len(first["tasks"]), first["pageSize"], first["totalSize"]) == (3, 3, 4)
    rest = listed(api, agent_id, pageSize=3, pageToken=first["nextPageToken"])["result"]
    assert ([each["id"] for each in rest["tasks"]], rest["nextPageToken"]) == ([done], "")
    talk = listed(api, agent_id, contextId="talk", includeArtifacts=True, historyLength=0)["result"]["tasks"]
    assert talk[0]["artifacts"][0]["parts"][0]["text"] == "It is done."
    assert "history" not in talk[0]
    submitted = listed(api, agent_id, status="TASK_STATE_SUBMITTED")["result"]
    assert submitted["totalSize"] == 3
    assert listed(api, agent_id, statusTimestampAfter="2090-01-01T00:00:00Z")["result"]["tasks"] == []
    assert listed(api, str(api.agent("bob")["id"]))["result"]["tasks"] == []
    assert close(api.db).ready


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("ListTasks", {"pageSize": 0}),
        ("ListTasks", {"pageSize": 101}),
        ("ListTasks", {"pageToken": "nonsense"}),
        ("ListTasks", {"historyLength": -1}),
        ("ListTasks", {"status": "TASK_STATE_NONSENSE"}),
        ("GetTask", {}),
        ("GetTask", {"id": ""}),
        ("GetTask", {"id": "x", "historyLength": -1}),
        ("CancelTask", {}),
        ("SendMessage", {"message": {"messageId": "m", "parts": [{"text": "hi"}]}}),
        ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "hi"}]}}),
        ("SendMessage", {"message": {"messageId": "m", "role": "ROLE_NONE", "parts": [{"text": "hi"}]}}),
        (
            "SendMessage",
            {
                "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]},
                "configuration": {"historyLength": -1},
            },
        ),
    ],
)
def test_what_the_protocol_does_not_allow_is_invalid(
    api: Api, agent_id: str, method: str, params: dict[str, Any]
) -> None:
    answer = rpc(api, agent_id, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert answer["error"]["code"] == -32602, answer
    assert listed(api, agent_id)["result"]["totalSize"] == 0


@pytest.mark.parametrize("id_", [True, {}, [], 1.5])
def test_an_id_is_a_text_or_an_integer(api: Api, agent_id: str, id_: object) -> None:
    answer = rpc(api, agent_id, {"jsonrpc": "2.0", "id": id_, "method": "ListTasks", "params": {}})
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)


def test_a_public_card_is_read_without_a_key(api: Api, agent_id: str) -> None:
    """Only the card is public."""
    card = f"//a2a/{agent_id}/.well-known/agent-card.json"
    nobody = api.as_(None)
    assert nobody.call("GET", card).status_code == 401
    assert api.patch(f"/agents/{agent_id}", {"public_card": True})["public_card"] is True
    shown = nobody.call("GET", card)
    assert shown.status_code == 200
    assert shown.json is not None and shown.json["name"] == "ada"
    assert nobody.call("POST", f"//a2a/{agent_id}", immediate("x")).status_code == 401
    assert api.as_("rvl_wrong").call("GET", card).status_code == 401
    for other in ("nobody", agent_id[:-4] + "ffff"):
        assert nobody.call("GET", f"//a2a/{other}/.well-known/agent-card.json").status_code == 401
    api.delete(f"/agents/{agent_id}")
    assert nobody.call("GET", card).status_code == 401


def test_the_last_words_of_a_history_are_the_reply_of_a_task_without_an_artifact() -> None:
    def said(role: Role, text: str) -> Message:
        return Message(role=role, parts=[Part(text=text)])

    task = Task(status=TaskStatus(state=TaskState.TASK_STATE_COMPLETED))
    task.history.extend(
        [said(Role.ROLE_USER, "ask"), said(Role.ROLE_AGENT, "first"), said(Role.ROLE_AGENT, "the answer")]
    )
    task.history.append(said(Role.ROLE_USER, "thanks"))
    assert outcome_of(task) == Replied("the answer")
    task.artifacts.append(Artifact(artifact_id="a", parts=[Part(text="better")]))
    assert outcome_of(task) == Replied("better")
