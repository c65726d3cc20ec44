"""/a2a/{agent_id}: each agent as an A2A agent over JSON-RPC, 1.0 and 0.3.

A message is a wake, its task the firing. The bearer key has the scope `write`, or is the agent's own. HTTP errors
(401, 403, 404, 413, 429 and 503) are problems as everywhere; errors that the protocol defines are answered by the
protocol.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Blueprint, Response, current_app, g, request

from api.a2a_messages import data_as_text
from api.addresses import base_url
from api.auth import Level, authenticate, bearer, caller, needs
from api.body import read_bytes, read_message, read_traceparent
from api.services import services
from config.installation import VERSION
from scheduler.domain.errors import Conflict, InvalidField, NotFound
from scheduler.domain.ids import parse_id
from scheduler.intake.wakes.a2a_tasks import Sender, cancel_task, send
from scheduler.intake.wakes.a2a_views import TaskView, list_tasks, read_task
from scheduler.intake.wakes.intake import Call
from scheduler.metrics import INTAKE_DURATION
from scheduler.runtimes.registry import runtime_of
from scheduler.storage.agents import find_public_agent, get_agent

if TYPE_CHECKING:
    from a2a.types.a2a_pb2 import Task

a2a = Blueprint("a2a", __name__)

VERSION_HEADER = "A2A-Version"
CURRENT_VERSION, LEGACY_VERSION = "1.0", "0.3"
"""The protocol of a caller who names none is 0.3, but many callers of methods that only 1.0 has forget to name it."""
LIST = "ListTasks"
LEGACY_METHODS = {
    "message/send": "SendMessage",
    "tasks/get": "GetTask",
    "tasks/cancel": "CancelTask",
    "message/stream": "SendStreamingMessage",
    "tasks/resubscribe": "SubscribeToTask",
    "agent/getAuthenticatedExtendedCard": "GetExtendedAgentCard",
    **{
        f"tasks/pushNotificationConfig/{each}": "PushNotificationConfig"
        for each in ("set", "get", "list", "delete")
    },
}
UNSUPPORTED = {"SendStreamingMessage", "SubscribeToTask", "GetExtendedAgentCard"}
WAIT_SECONDS = 20.0
"""How long a blocking message waits for its task to end; after that the task is returned as it is."""
CANCEL_SECONDS = 4.0
"""How long a cancellation waits for the agent's run to stop, which takes a second or two."""
LOOK_SECONDS = 0.5
SKIP_DEDUP = "reveille/skip_dedup"
"""In a message's metadata: true closes the agent's window at once."""

_waiting = BoundedSemaphore(8)
"""Limits how many of a process's threads may wait; further callers are answered at once."""


@a2a.before_request
def _authenticate() -> None:
    """Authenticates the caller; a public card needs no key."""
    g.public_agent = None
    if request.endpoint == "a2a.show_card" and not bearer():
        g.public_agent = _public_agent(str((request.view_args or {}).get("agent_id")))
    if g.public_agent is None:
        authenticate()


@a2a.get("/a2a/<agent_id>/.well-known/agent-card.json")
@needs(Level.READ, own=True)
def show_card(agent_id: str) -> Response:
    """The agent's card."""
    from api.a2a_messages import card

    agent = g.public_agent or _agent(agent_id)
    base = base_url()
    url = f"{base}/a2a/{agent.id}"
    tags = runtime_of(agent.runtime_kind).card_tags
    shown = card(agent.name, agent.role_description, url, VERSION, legacy=not _is_current(_version()), tags=tags)
    response = Response(current_app.json.dumps(shown), content_type="application/json")
    response.headers["Cache-Control"] = "no-cache" if agent.public_card else "private, no-cache"
    response.vary.add(VERSION_HEADER)
    response.add_etag(weak=True)
    return response.make_conditional(request)  # type: ignore[return-value]  # it is the same response


@a2a.post("/a2a/<agent_id>")
@needs(Level.WRITE, own=True)
def take_call(agent_id: str) -> Response:
    """Handles one JSON-RPC request: 200 with its result or error."""
    from a2a.utils.errors import A2AError

    from api.a2a_messages import error

    agent = _agent(agent_id)
    body: Any = None
    try:
        body = _body()
        method = _method(body)
        answer = {"result": _called(agent.id, method, body)}
    except A2AError as failure:
        answer = {"error": error(failure)}
    given = body.get("id") if isinstance(body, dict) else None
    id_ = given if isinstance(given, str | int) and not isinstance(given, bool) else None
    return Response(
        current_app.json.dumps({**answer, "id": id_, "jsonrpc": "2.0"}), content_type="application/json"
    )


def _agent(agent_id: str) -> Any:
    who, id_ = caller(), parse_id(agent_id[:100], "agent")
    who.must_reach(id_, "agent", id_)
    with services().db.begin() as conn:
        return get_agent(conn, who.tenant_id, id_)


def _public_agent(agent_id: str) -> Any:
    """Returns the agent of any tenant whose card is public."""
    try:
        id_ = parse_id(agent_id[:100], "agent")
    except NotFound:
        return None
    with services().db.begin() as conn:
        return find_public_agent(conn, id_)


def _body() -> Any:
    from a2a.utils.errors import JSONParseError

    try:
        return read_message()
    except ValueError as problem:
        raise JSONParseError(f"The body is not valid JSON: {problem}.") from None


def _method(body: Any) -> str:
    from a2a.utils.errors import InvalidRequestError

    if not isinstance(body, dict):
        raise InvalidRequestError(
            data={"parseError": "A request must be a JSON object; batches are not supported."}
        )
    if body.get("jsonrpc") != "2.0" or not isinstance(body.get("method"), str):
        raise InvalidRequestError(data={"parseError": "jsonrpc must be '2.0', and method a text."})
    id_ = body.get("id")
    if id_ is not None and (isinstance(id_, bool) or not isinstance(id_, str | int)):
        raise InvalidRequestError(data={"parseError": "id must be a text or an integer."})
    return str(body["method"])


def _called(agent_id: UUID, method: str, body: dict[str, Any]) -> dict[str, Any]:
    from a2a.utils.errors import MethodNotFoundError, PushNotificationNotSupportedError, UnsupportedOperationError

    from api import a2a_messages as shapes

    version = _version() or (LEGACY_VERSION if "/" in method else CURRENT_VERSION)
    is_current = _is_current(version)
    legacy = method in LEGACY_METHODS and not is_current
    name = LEGACY_METHODS[method] if legacy else method
    if name in UNSUPPORTED:
        raise UnsupportedOperationError
    if "PushNotification" in name:
        raise PushNotificationNotSupportedError
    handler = HANDLERS.get(name, _get)
    if name not in HANDLERS and name != LIST:
        raise MethodNotFoundError
    if not legacy:
        _check_version(version, is_current=is_current)
    if name == "SendMessage":
        data_as_text(body, read_bytes(), legacy=legacy)
    params = shapes.parse_params(name, body, legacy=legacy)
    if name == LIST:
        return _list(agent_id, params)
    return shapes.result(handler(agent_id, params), name, legacy=legacy)


def _version() -> str:
    """Returns the version that the caller names in the header or the query."""
    return (request.headers.get(VERSION_HEADER) or request.args.get(VERSION_HEADER) or "").strip()


def _is_current(version: str) -> bool:
    return version.split(".")[0] == "1"


def _check_version(version: str, *, is_current: bool) -> None:
    from a2a.utils.errors import VersionNotSupportedError

    if not is_current:
        raise VersionNotSupportedError(
            f"A2A version '{version[:20]}' has no such method; send {VERSION_HEADER}: 1.0."
        )


def _send(agent_id: UUID, params: Any) -> Task:
    from a2a.utils.errors import InvalidParamsError, TaskNotFoundError, UnsupportedOperationError

    from api import a2a_messages as shapes
    from scheduler.runtimes.a2a_outcomes import text_of

    message, who = params.message, caller()
    continued = shapes.parse_task_id(message.task_id) if message.task_id else None
    urgent = SKIP_DEDUP in message.metadata and message.metadata[SKIP_DEDUP] is True
    parts = text_of(message.parts)
    call = Call(who.tenant_id, agent_id, parts, who.agent_id, urgent, traceparent=read_traceparent())
    run_id = shapes.sent_in(message)
    sender = Sender(who.key_id, who.actor, message.message_id, message.context_id or None, run_id, continued)
    try:
        with INTAKE_DURATION.labels("a2a").time():
            task_id = send(services().db, call, sender)
    except InvalidField as refusal:
        raise InvalidParamsError(refusal.message) from None
    except NotFound:
        raise TaskNotFoundError from None
    except Conflict as refusal:
        raise UnsupportedOperationError(refusal.message) from None
    view = _read(agent_id, str(task_id))
    if not params.configuration.return_immediately:
        view = _awaited(agent_id, view, WAIT_SECONDS)
    return shapes.show_task(view, history=_history(params.configuration))


def _get(agent_id: UUID, params: Any) -> Task:
    from api import a2a_messages as shapes

    return shapes.show_task(_read(agent_id, params.id), history=_history(params))


def _list(agent_id: UUID, params: Any) -> dict[str, Any]:
    from api import a2a_messages as shapes

    wanted = shapes.list_filter(params)
    with services().db.begin() as conn:
        found = list_tasks(conn, caller().tenant_id, agent_id, wanted)
    return shapes.show_page(found, params)


def _cancel(agent_id: UUID, params: Any) -> Task:
    from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError

    from api import a2a_messages as shapes

    who = caller()
    try:
        with services().db.begin() as conn:
            task_id = shapes.parse_task_id(params.id)
            sent_by = who.key_id if who.is_agent else None
            view = cancel_task(conn, who.tenant_id, agent_id, task_id, who.actor, sent_by=sent_by)
    except NotFound:
        raise TaskNotFoundError from None
    except Conflict as refusal:
        raise TaskNotCancelableError(refusal.message) from None
    return shapes.show_task(_awaited(agent_id, view, CANCEL_SECONDS), history=None)


def _read(agent_id: UUID, task_id: str) -> TaskView:
    from a2a.utils.errors import TaskNotFoundError

    from api import a2a_messages as shapes

    try:
        with services().db.begin() as conn:
            return read_task(conn, caller().tenant_id, agent_id, shapes.parse_task_id(task_id))
    except NotFound:
        raise TaskNotFoundError from None


def _awaited(agent_id: UUID, view: TaskView, seconds: float) -> TaskView:
    """Returns the task when it has ended, or when nobody waits any longer."""
    if not _waiting.acquire(blocking=False):
        return view
    try:
        until = time.monotonic() + seconds
        while not view.is_over and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            view = _read(agent_id, str(view.id))
    finally:
        _waiting.release()
    return view


def _history(asked: Any) -> int | None:
    """Returns how many messages are requested; None for all."""
    return asked.history_length if asked.HasField("history_length") else None


HANDLERS: Mapping[str, Callable[[UUID, Any], Task]] = {
    "SendMessage": _send,
    "GetTask": _get,
    "CancelTask": _cancel,
}
