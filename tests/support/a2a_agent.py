"""A remote A2A agent for tests: the SDK's own server, behind uvicorn on loopback.

Its behaviour depends on the message.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from a2a.helpers import new_task_from_user_message, new_text_artifact, new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, TaskState
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.asgi import served_in_thread
from tests.support.web import free_port

Behaviour = Callable[["Agent", TaskUpdater, EventQueue], Awaitable[None]]


@dataclass
class Agent(AgentExecutor):
    """The agent's behaviour, and the calls that it received."""

    behaviour: Behaviour
    received: list[str] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    task_ids: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    refuse: Callable[[str], Response | None] = lambda _name: None
    slow: Collection[str] = ()
    url: str = ""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        self.received.append(context.get_user_input())
        self.message_ids.append(context.message.message_id)
        assert context.task_id is not None and context.context_id is not None
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        if self.behaviour is not answers_directly:
            task = context.current_task or new_task_from_user_message(context.message)
            self.task_ids.append(task.id)
            await event_queue.enqueue_event(task)
        self.started.set()
        await self.behaviour(self, updater, event_queue)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None and context.context_id is not None
        self.cancelled.append(context.task_id)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


async def completes(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    """Sends an artifact in two pieces, then completes."""
    await updater.start_work()
    artifact = new_text_artifact("answer", "It is do")
    await updater.add_artifact(list(artifact.parts), artifact_id="a1", append=False, last_chunk=False)
    more = new_text_artifact("answer", "ne.")
    await updater.add_artifact(list(more.parts), artifact_id="a1", append=True)
    await updater.complete()


async def says_it_in_its_status(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    await updater.complete(new_text_message("Nothing to do."))


async def answers_directly(_: Agent, updater: TaskUpdater, queue: EventQueue) -> None:
    await queue.enqueue_event(new_text_message("Straight away.", context_id=updater.context_id))


async def fails(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    await updater.failed(new_text_message("The disk is full."))


async def rejects(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    await updater.reject(new_text_message("Not my job."))


async def asks(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    await updater.update_status(TaskState.TASK_STATE_INPUT_REQUIRED, new_text_message("Which disk?"))


async def wants_credentials(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    await updater.update_status(TaskState.TASK_STATE_AUTH_REQUIRED, new_text_message("Sign in first."))


async def hangs(_: Agent, updater: TaskUpdater, __: EventQueue) -> None:
    await updater.start_work()
    await asyncio.Event().wait()


async def waits(agent: Agent, updater: TaskUpdater, _: EventQueue) -> None:
    """Waits until the test releases it."""
    await updater.start_work()
    while not agent.go_on.is_set():
        await asyncio.sleep(0.02)
    await updater.complete(new_text_message("At last."))


@contextmanager
def remote_agent(
    behaviour: Behaviour,
    *,
    streaming: bool = True,
    rest: bool = False,
    version: str = "1.0",
    card_url: str | None = None,
    binding: str | None = None,
) -> Iterator[Agent]:
    """Runs the agent; `url` is its base. Its card points to `card_url` with `binding` if these are given.

    `refuse` can answer a call instead of the server; calls named in `slow` are never answered.
    """
    agent = Agent(behaviour)
    port = free_port()
    agent.url = f"http://127.0.0.1:{port}"
    interface = AgentInterface(
        url=card_url or agent.url,
        protocol_binding=binding or ("HTTP+JSON" if rest else "JSONRPC"),
        protocol_version=version,
    )
    app = _Watched(_app(agent, interface, streaming=streaming, rest=rest), agent)
    with served_in_thread(app, port, lifespan="off"):
        yield agent


def _app(agent: Agent, interface: AgentInterface, *, streaming: bool, rest: bool) -> Starlette:
    card = AgentCard(
        name="far",
        description="An agent elsewhere.",
        version="1",
        supported_interfaces=[interface],
        capabilities=AgentCapabilities(streaming=streaming),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="all", name="All", description="Everything.", tags=["all"])],
    )
    handler = DefaultRequestHandler(agent, InMemoryTaskStore(), card)
    compat = interface.protocol_version.startswith("0.")
    calls = (
        create_rest_routes(handler, enable_v0_3_compat=compat)
        if rest
        else create_jsonrpc_routes(handler, "/", enable_v0_3_compat=compat)
    )
    return Starlette(routes=[*create_agent_card_routes(card), *calls])


class _Watched:
    """Records each call and its headers, and lets the test refuse it."""

    def __init__(self, app: ASGIApp, agent: Agent) -> None:
        self._app = app
        self._agent = agent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        name = str(json.loads(body).get("method", request.url.path)) if body else request.url.path
        self._agent.calls[name] += 1
        self._agent.headers.append(dict(request.headers))
        if name in self._agent.slow:
            await asyncio.Event().wait()
        refusal = self._agent.refuse(name)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        bodies = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(bodies, None) or await receive()

        await self._app(scope, again, send)
