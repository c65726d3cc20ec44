"""Our agents over A2A, called by a real client and by our own runtime."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from a2a.client import Client
from a2a.types import CancelTaskRequest, GetTaskRequest, Message, Part, Role, SendMessageRequest, Task, TaskState
from a2a.utils.errors import A2AError, TaskNotCancelableError, UnsupportedOperationError

from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed, Replied, RuntimeSpec
from scheduler.runtimes.registry import make_runtime
from tests.support.a2a_client import immediate, message, rpc, sent, talk
from tests.support.api import Api, served
from tests.support.database import rows
from tests.support.invocations import close, end, run_once, start
from tests.support.runs import make_parts, make_request


@pytest.fixture
def agent_id(api: Api) -> str:
    return str(api.agent("ada", role_description="Keeps the books.", dedup_delay_seconds=0)["id"])


@pytest.fixture
def url(api: Api, agent_id: str) -> Iterator[str]:
    with served(api) as base:
        yield f"{base}/a2a/{agent_id}"


def test_a_client_sends_a_message_and_reads_the_reply(api: Api, url: str) -> None:
    """Submitted, working, completed, with the reply as an artifact."""
    first = talk(url, api.key, lambda client: sent(client, message("Close the month.", context_id="books")))
    assert first.status.state == TaskState.TASK_STATE_SUBMITTED
    assert first.context_id == "books"
    [firing] = api.get("/firings")["items"]
    assert (firing["id"], firing["trigger_name"]) == (first.id, "wake")
    [invocation_id] = close(api.db).ready
    claimed = start(api.db, invocation_id)

    def look() -> Task:
        return talk(url, api.key, lambda client: client.get_task(GetTaskRequest(id=first.id)))  # type: ignore[no-any-return]

    assert look().status.state == TaskState.TASK_STATE_WORKING
    end(api.db, claimed, Replied("It is closed."))
    done = look()
    assert done.status.state == TaskState.TASK_STATE_COMPLETED
    assert [part.text for part in done.artifacts[0].parts] == ["It is closed."]
    assert [each.parts[0].text for each in done.history] == ["Close the month."]
    assert done.context_id == "books"


def test_a_failure_is_told_with_its_error(api: Api, url: str) -> None:
    task = talk(url, api.key, lambda client: sent(client, message()))
    run_once(api.db, Failed("The ledger is gone.", permanent=True))
    task = talk(url, api.key, lambda client: client.get_task(GetTaskRequest(id=task.id)))
    assert task.status.state == TaskState.TASK_STATE_FAILED
    assert task.status.message.parts[0].text == "The ledger is gone."
    assert not task.artifacts


def test_a_task_is_cancelled_with_its_invocation(api: Api, url: str) -> None:
    task = talk(url, api.key, lambda client: sent(client, message()))
    cancelled = talk(url, api.key, lambda client: client.cancel_task(CancelTaskRequest(id=task.id)))
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
    [firing] = api.get("/firings")["items"]
    assert firing["state"] == "cancelled"
    with pytest.raises(TaskNotCancelableError):
        talk(url, api.key, lambda client: client.cancel_task(CancelTaskRequest(id=task.id)))


def test_the_answer_to_a_cancelled_run_waits_until_it_has_stopped(api: Api, url: str) -> None:
    task = talk(url, api.key, lambda client: sent(client, message()))
    [invocation_id] = close(api.db).ready
    claimed = start(api.db, invocation_id)

    async def cancel(client: Client) -> Task:
        cancelling = asyncio.ensure_future(client.cancel_task(CancelTaskRequest(id=task.id)))
        while not rows(api.db, "SELECT 1 FROM invocations WHERE cancel_requested"):
            await asyncio.sleep(0.01)
        end(api.db, claimed, Failed("The run was cancelled.", reason="cancelled"))
        return await cancelling

    assert talk(url, api.key, cancel).status.state == TaskState.TASK_STATE_CANCELED


def test_a_task_that_shares_its_invocation_is_not_cancelled(api: Api, url: str, agent_id: str) -> None:
    """Whatever else woke the agent must not be lost."""
    task = talk(url, api.key, lambda client: sent(client, message()))
    api.post(f"/agents/{agent_id}/wake", {"message": "and this"}, 202)
    with pytest.raises(TaskNotCancelableError):
        talk(url, api.key, lambda client: client.cancel_task(CancelTaskRequest(id=task.id)))
    [invocation] = api.get("/invocations")["items"]
    assert (invocation["state"], invocation["firing_count"]) == ("collecting", 2)


def test_a_repeated_message_is_taken_once(api: Api, url: str) -> None:
    """An id with another text is refused; with another key it is a different message."""

    async def twice(client: Client) -> tuple[Task, Task]:
        return await sent(client, message("one")), await sent(client, message("one"))

    first, second = talk(url, api.key, twice)
    assert (first.id, first.context_id) == (second.id, second.context_id)
    with pytest.raises(A2AError, match="messageId"):
        talk(url, api.key, lambda client: sent(client, message("other")))
    other = talk(url, api.with_key("write").key, lambda client: sent(client, message("other")))
    assert other.id != first.id
    assert len(api.get("/firings")["items"]) == 2


def test_messages_that_come_at_once_are_taken_once(api: Api, url: str) -> None:
    async def at_once(client: Client) -> set[str]:
        return {task.id for task in await asyncio.gather(*(sent(client, message()) for _ in range(6)))}

    assert len(talk(url, api.key, at_once)) == 1
    assert len(api.get("/firings")["items"]) == 1


def test_a_client_that_waits_is_answered_at_the_end(api: Api, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.a2a.LOOK_SECONDS", 0.02)

    async def waited(client: Client) -> Task:
        waiting = asyncio.ensure_future(sent(client, message()))
        while not (ready := (await asyncio.to_thread(close, api.db)).ready):
            await asyncio.sleep(0.02)
        claimed = await asyncio.to_thread(start, api.db, ready[0])
        await asyncio.to_thread(end, api.db, claimed, Replied("Done."))
        return await waiting

    task = talk(url, api.key, waited, polling=False)
    assert task.status.state == TaskState.TASK_STATE_COMPLETED


def test_a_call_that_waits_is_answered_in_time(api: Api, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.a2a.WAIT_SECONDS", 0.1)
    monkeypatch.setattr("api.a2a.LOOK_SECONDS", 0.02)
    task = talk(url, api.key, lambda client: sent(client, message()), polling=False)
    assert task.status.state == TaskState.TASK_STATE_SUBMITTED


def test_the_windows_delay_holds_unless_the_message_says_otherwise(api: Api) -> None:
    agent_id = api.agent("grace", dedup_delay_seconds=3600)["id"]
    params: dict[str, Any] = {"message": {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hi"}]}}
    params["configuration"] = {"returnImmediately": True}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params}
    rpc(api, agent_id, body)
    assert close(api.db).ready == []
    params["message"] |= {"messageId": "2", "metadata": {"reveille/skip_dedup": True}}
    rpc(api, agent_id, body)
    assert len(close(api.db).ready) == 1


def test_parts_that_are_no_text_are_told_as_text(api: Api, url: str) -> None:
    request = message(message_id="m2")
    request.message.parts.append(Part(url="https://a.example.org/report.pdf"))
    request.message.parts.add().data.struct_value.update({"sum": 3.0})
    task = talk(url, api.key, lambda client: sent(client, request))
    shown = api.get(f"/firings/{task.id}")["data"]["messages"][0]["text"]
    assert shown == 'hello\nhttps://a.example.org/report.pdf\n{"sum": 3.0}'


@pytest.mark.parametrize("parts", [[], [Part(text="x" * 65_537)]])
def test_a_message_that_says_nothing_or_too_much_is_refused(api: Api, url: str, parts: list[Part]) -> None:
    request = SendMessageRequest(message=Message(message_id="m", role=Role.ROLE_USER, parts=parts))
    with pytest.raises(A2AError, match="message"):
        talk(url, api.key, lambda client: sent(client, request))
    assert api.get("/firings")["items"] == []


def test_wakes_that_are_paused_are_refused(api: Api, url: str) -> None:
    talk(url, api.key, lambda client: sent(client, message()))
    [firing] = api.get("/firings")["items"]
    api.post(f"/triggers/{firing['trigger_id']}/pause", None, 200)
    with pytest.raises(UnsupportedOperationError, match="Resume it first"):
        talk(url, api.key, lambda client: sent(client, message(message_id="m2")))


def test_a_run_that_sends_is_known_as_its_agent(api: Api, url: str, agent_id: str) -> None:
    """Depth and pairs are counted over A2A too, whatever key is used: two agents cannot keep each other awake."""
    caller_id = api.agent("caller", dedup_delay_seconds=0)["id"]
    api.post(f"/agents/{caller_id}/wake", {"message": "go"}, 202)
    [run_id] = close(api.db).ready
    start(api.db, run_id)

    async def send_and_leave() -> None:
        async with make_parts() as parts:
            spec = RuntimeSpec("a2a", {"url": url}, json.dumps({"secret": api.key}), 60)
            running = asyncio.ensure_future(make_runtime(spec, parts).run(make_request(invocation_id=run_id)))
            while not running.done() and not api.get("/firings", agent_id=agent_id)["items"]:
                await asyncio.sleep(0.05)
            running.cancel()

    asyncio.run(send_and_leave())
    [firing] = api.get("/firings", agent_id=agent_id)["items"]
    assert (firing["depth"], firing["trust"]) == (1, "agent")
    sender = api.get(f"/firings/{firing['id']}")["data"]["messages"][0]["from"]
    assert (sender["type"], sender["id"]) == ("agent", caller_id)


@pytest.mark.parametrize("said", ["nonsense", "01a20f0e-76c7-76cb-becf-541defeae9a3", 5, None])
def test_an_unknown_run_belongs_to_nobody(api: Api, agent_id: str, said: object) -> None:
    body = immediate("1")
    body["params"]["message"]["metadata"] = {"reveille/invocation_id": said}
    rpc(api, agent_id, body)
    [firing] = api.get("/firings")["items"]
    assert (firing["depth"], firing["trust"]) == (0, "verified")


def test_reveille_runs_an_agent_of_reveille(api: Api, url: str) -> None:
    """Both directions at once: our runtime sends, our server accepts, and the reply returns."""

    async def run() -> Any:
        async with make_parts() as parts:
            secret = json.dumps({"secret": api.key})
            runtime = make_runtime(RuntimeSpec("a2a", {"url": url}, secret, 20.0), parts)
            running = asyncio.ensure_future(runtime.run(make_request(context="From afar.")))
            while not (ready := (await asyncio.to_thread(close, api.db)).ready):
                await asyncio.sleep(0.05)
            claimed = await asyncio.to_thread(start, api.db, ready[0])
            await asyncio.to_thread(end, api.db, claimed, Replied("Heard."))
            return await running

    assert asyncio.run(run()) == Replied("Heard.")
    assert UUID(api.get("/firings")["items"][0]["id"])
    assert api.get("/invocations")["items"][0]["state"] == InvocationState.SUCCEEDED
