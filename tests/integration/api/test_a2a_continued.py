"""Further messages to a task: each wakes the agent, and the task continues until the last one is answered."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.domain.run import Failed, Replied
from tests.support.a2a_client import immediate, rpc
from tests.support.api import Api
from tests.support.invocations import close, end, run_once, start


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada", dedup_delay_seconds=0)["id"])


def call(api: Api, agent_id: str, method: str, **params: Any) -> Any:
    return rpc(api, agent_id, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def send(api: Api, agent_id: str, message_id: str, **message: Any) -> Any:
    """Returns the response to a message, which contains its own id."""
    body = immediate(message_id)
    body["params"]["message"] |= {"parts": [{"text": message_id}]} | message
    return rpc(api, agent_id, body)


def begun(api: Api, agent_id: str) -> Any:
    return send(api, agent_id, "one", contextId="talk")["result"]["task"]


def told(task: Any) -> tuple[str, list[str], list[str]]:
    """Returns state, messages and replies."""
    said = [each["parts"][0]["text"] for each in task.get("history", [])]
    replies = [each["parts"][0]["text"] for each in task.get("artifacts", [])]
    return task["status"]["state"].removeprefix("TASK_STATE_"), said, replies


def test_a_message_joins_a_task_that_still_waits(api: Api, agent_id: str) -> None:
    """Both are delivered at once, in one run, whose reply is one artifact."""
    task = begun(api, agent_id)
    again = send(api, agent_id, "two", taskId=task["id"])["result"]["task"]
    assert (again["id"], again["contextId"], told(again)) == (
        task["id"],
        "talk",
        ("SUBMITTED", ["one", "two"], []),
    )
    [invocation] = api.get("/invocations")["items"]
    assert invocation["firing_count"] == 2
    run_once(api.db, Replied("Both."))
    assert told(call(api, agent_id, "GetTask", id=task["id"])["result"]) == (
        "COMPLETED",
        ["one", "two"],
        ["Both."],
    )


def test_a_task_that_runs_goes_on_with_the_next_message(api: Api, agent_id: str) -> None:
    task = begun(api, agent_id)
    [first] = close(api.db).ready
    running = start(api.db, first)
    send(api, agent_id, "two", taskId=task["id"], contextId="talk")
    end(api.db, running, Replied("First."))
    assert told(call(api, agent_id, "GetTask", id=task["id"])["result"])[0] == "SUBMITTED"
    context = api.get(f"/firings/{api.get('/firings')['items'][0]['id']}")["data"]["messages"][0]
    assert (context["text"], context["task_id"]) == ("two", task["id"])
    run_once(api.db, Replied("Second."))
    done = call(api, agent_id, "GetTask", id=task["id"])["result"]
    assert told(done) == ("COMPLETED", ["one", "two"], ["First.", "Second."])
    listed = call(api, agent_id, "ListTasks", includeArtifacts=True)["result"]
    assert (listed["totalSize"], listed["tasks"]) == (1, [done])


@pytest.mark.parametrize("outcome", [Replied("Done."), Failed("No.", permanent=True)])
def test_a_task_that_has_ended_takes_no_more_messages(api: Api, agent_id: str, outcome: Any) -> None:
    task = begun(api, agent_id)
    run_once(api.db, outcome)
    refused = send(api, agent_id, "two", taskId=task["id"])["error"]
    assert (refused["code"], "ended" in refused["message"]) == (-32004, True)
    assert len(api.get("/firings")["items"]) == 1
    repeated = send(api, agent_id, "one", taskId=task["id"])["result"]["task"]
    assert repeated["id"] == task["id"]


def test_a_message_names_a_task_of_this_agent_and_its_conversation(api: Api, agent_id: str) -> None:
    task = begun(api, agent_id)
    other = str(api.agent("bob")["id"])
    assert send(api, other, "two", taskId=task["id"])["error"]["code"] == -32001
    assert send(api, agent_id, "two", taskId="nope")["error"]["code"] == -32001
    assert send(api, agent_id, "two", taskId=task["id"], contextId="gossip")["error"]["code"] == -32602
    second = send(api, agent_id, "two", taskId=task["id"])["result"]["task"]["history"][1]
    firing = api.get("/firings")["items"][0]["id"]
    assert send(api, agent_id, "three", taskId=firing)["error"]["code"] == -32001, "a message is no task"
    assert second["messageId"] == "two"
    assert len(api.get("/firings")["items"]) == 2


def test_a_further_message_that_is_repeated_is_taken_once(api: Api, agent_id: str) -> None:
    task = begun(api, agent_id)
    answers = [send(api, agent_id, "two", taskId=task["id"])["result"]["task"] for _ in range(2)]
    assert [each["id"] for each in answers] == [task["id"]] * 2
    assert told(answers[1])[1] == ["one", "two"]
    elsewhere = send(api, agent_id, "alone")["result"]["task"]["id"]
    assert send(api, agent_id, "two", taskId=elsewhere)["error"]["code"] == -32602


def test_the_newest_messages_are_shown_as_many_as_are_asked_for(api: Api, agent_id: str) -> None:
    task = begun(api, agent_id)
    for name in ("two", "three", "four"):
        send(api, agent_id, name, taskId=task["id"])
    lengths = {0: [], 2: ["three", "four"], 9: ["one", "two", "three", "four"]}
    for length, said in lengths.items():
        assert told(call(api, agent_id, "GetTask", id=task["id"], historyLength=length)["result"])[1] == said
        listed = call(api, agent_id, "ListTasks", historyLength=length)["result"]["tasks"]
        assert [told(each)[1] for each in listed] == [said]


def test_a_task_is_cancelled_with_all_its_messages(api: Api, agent_id: str) -> None:
    """They may share a window; other senders' messages may not be in it."""
    task = begun(api, agent_id)
    send(api, agent_id, "two", taskId=task["id"])
    assert told(call(api, agent_id, "CancelTask", id=task["id"])["result"])[0] == "CANCELED"
    mixed = send(api, agent_id, "three")["result"]["task"]["id"]
    send(api, agent_id, "four")
    assert call(api, agent_id, "CancelTask", id=mixed)["error"]["code"] == -32002


def test_the_runs_of_a_cancelled_task_are_all_cancelled(
    api: Api, agent_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.a2a.CANCEL_SECONDS", 0.0)
    task = begun(api, agent_id)
    [first] = close(api.db).ready
    running = start(api.db, first)
    send(api, agent_id, "two", taskId=task["id"])
    assert told(call(api, agent_id, "CancelTask", id=task["id"])["result"])[0] == "CANCELED"
    end(api.db, running, Failed("Stopped.", reason="cancelled"))
    assert {each["state"] for each in api.get("/invocations")["items"]} == {"cancelled"}


def test_a_client_of_0_3_goes_on_with_its_task_too(api: Api, agent_id: str) -> None:
    def body(message_id: str, **message: Any) -> dict[str, Any]:
        parts = [{"kind": "text", "text": message_id}]
        whole = {"kind": "message", "messageId": message_id, "role": "user", "parts": parts, **message}
        params = {"message": whole, "configuration": {"blocking": False}}
        return {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": params}

    task = rpc(api, agent_id, body("one"), version="0.3")["result"]
    again = rpc(api, agent_id, body("two", taskId=task["id"]), version="0.3")["result"]
    assert again["id"] == task["id"]
    assert [each["parts"][0]["text"] for each in again["history"]] == ["one", "two"]
