"""Converts tasks and cards of our agents to and from A2A's types, 1.0 and 0.3. Imported by the first A2A call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any
from uuid import UUID

from a2a.compat.v0_3 import conversions
from a2a.compat.v0_3 import types as v03
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Artifact,
    CancelTaskRequest,
    GetTaskRequest,
    HTTPAuthSecurityScheme,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SecurityRequirement,
    SecurityScheme,
    SendMessageRequest,
    SendMessageResponse,
    StringList,
    Task,
    TaskState,
    TaskStatus,
)
from a2a.utils.errors import (
    A2A_ERROR_REASONS,
    JSON_RPC_ERROR_CODE_MAP,
    A2AError,
    InvalidParamsError,
    MethodNotFoundError,
    TaskNotFoundError,
)
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from pydantic import ValidationError

from scheduler.domain.charsets import decode_strictly
from scheduler.domain.errors import NotFound
from scheduler.domain.ids import parse_id
from scheduler.domain.json_values import read_json, write_json
from scheduler.domain.lineage import INVOCATION_KEY
from scheduler.domain.model import InvocationState
from scheduler.intake.wakes.a2a_views import TaskFilter, TaskPage, TaskView, read_cursor

TEXT = "text/plain"
DEFAULT_PAGE, MOST_LISTED = 50, 100
BINDING = "JSONRPC"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
REQUESTS: dict[str, Any] = {
    "SendMessage": SendMessageRequest,
    "GetTask": GetTaskRequest,
    "CancelTask": CancelTaskRequest,
    "ListTasks": ListTasksRequest,
}
LEGACY: dict[str, tuple[Any, Any]] = {
    "SendMessage": (v03.SendMessageRequest, conversions.to_core_send_message_request),
    "GetTask": (v03.GetTaskRequest, conversions.to_core_get_task_request),
    "CancelTask": (v03.CancelTaskRequest, conversions.to_core_cancel_task_request),
}
STATE_NAMES = frozenset(TaskState.keys())
STATES = {
    InvocationState.COLLECTING: TaskState.TASK_STATE_SUBMITTED,
    InvocationState.READY: TaskState.TASK_STATE_SUBMITTED,
    InvocationState.RUNNING: TaskState.TASK_STATE_WORKING,
    InvocationState.AWAITING: TaskState.TASK_STATE_WORKING,
    InvocationState.RETRYING: TaskState.TASK_STATE_WORKING,
    InvocationState.SUCCEEDED: TaskState.TASK_STATE_COMPLETED,
    InvocationState.DEAD: TaskState.TASK_STATE_FAILED,
    InvocationState.SKIPPED: TaskState.TASK_STATE_REJECTED,
    InvocationState.CANCELLED: TaskState.TASK_STATE_CANCELED,
}
CONTENTS = frozenset({"text", "raw", "url", "file"})
"""What a part may contain instead of data."""


def card(
    name: str, description: str, url: str, version: str, *, legacy: bool, tags: Iterable[str] = ()
) -> dict[str, Any]:
    """Returns an agent's card; `legacy`: also with the fields for clients of 0.3, including its security schemes."""
    interfaces = [
        AgentInterface(url=url, protocol_binding=BINDING, protocol_version=each) for each in ("1.0", "0.3")
    ]
    skill = AgentSkill(
        id="wake",
        name="Wake",
        description="Takes a message. What else wakes the agent at that time it is told together with it.",
        tags=["wake", *tags],
    )
    bearer = HTTPAuthSecurityScheme(
        scheme="Bearer", description="A key with the scope write, or the agent's own key."
    )
    shown = AgentCard(
        name=name,
        description=description or f"{name}, an agent that Reveille wakes.",
        version=version,
        supported_interfaces=interfaces,
        capabilities=AgentCapabilities(streaming=False, push_notifications=False),
        security_schemes={"key": SecurityScheme(http_auth_security_scheme=bearer)},
        security_requirements=[SecurityRequirement(schemes={"key": StringList()})],
        default_input_modes=[TEXT],
        default_output_modes=[TEXT],
        skills=[skill],
    )
    return agent_card_to_dict(shown) if legacy else dict(MessageToDict(shown))


def parse_params(method: str, body: Mapping[str, Any], *, legacy: bool) -> Any:
    """Parses the parameters of a request as a 1.0 message; raises InvalidParamsError."""
    try:
        if legacy:
            shape, convert = LEGACY[method]
            return _checked(method, convert(shape.model_validate(body)))
        status = _object(body.get("params", {})).get("status")
        if method == "ListTasks" and isinstance(status, str) and status not in STATE_NAMES:
            raise ValueError(f"status {status[:50]!r} is not a state of a task")
        given = ParseDict(_object(body.get("params", {})), REQUESTS[method](), ignore_unknown_fields=True)
        return _checked(method, given)
    except (ParseError, ValidationError, TypeError, AttributeError, ValueError) as error:
        raise InvalidParamsError(data={"parseError": str(error)[:500]}) from None


def _checked(method: str, params: Any) -> Any:
    """Checks what the types allow and the protocol does not: the role, the task, the history length."""
    asked = params.configuration if method == "SendMessage" else params
    if method == "SendMessage" and params.message.role != Role.ROLE_USER:
        raise ValueError("message.role must be ROLE_USER, as the sender acts as the user")
    if method in {"GetTask", "CancelTask"} and not params.id:
        raise ValueError("id is missing")
    if method != "CancelTask" and asked.history_length < 0:
        raise ValueError("historyLength must not be negative")
    return params


def list_filter(params: ListTasksRequest) -> TaskFilter:
    """Parses the filter of ListTasks; raises InvalidParamsError."""
    size = params.page_size if params.HasField("page_size") else DEFAULT_PAGE
    if not 1 <= size <= MOST_LISTED:
        raise InvalidParamsError(f"pageSize must be from 1 to {MOST_LISTED}.")
    since = None
    if params.HasField("status_timestamp_after"):
        since = params.status_timestamp_after.ToDatetime(tzinfo=UTC)
    states = [state.value for state, shown in STATES.items() if shown == params.status] if params.status else None
    try:
        before = read_cursor(params.page_token) if params.page_token else None
    except ValueError:
        raise InvalidParamsError("pageToken did not come from ListTasks.") from None
    return TaskFilter(size, before, params.context_id or None, states, since)


def show_page(found: TaskPage, params: ListTasksRequest) -> dict[str, Any]:
    """Formats a page of tasks as the result of ListTasks, whose four fields are always present."""
    history = params.history_length if params.HasField("history_length") else None
    tasks = [show_task(each, history=history) for each in found.tasks]
    for task in tasks:
        if not params.include_artifacts:
            task.ClearField("artifacts")
    return {
        "tasks": [dict(MessageToDict(task)) for task in tasks],
        "nextPageToken": found.next_cursor,
        # the protocol's test kit expects the number of returned tasks here, not the requested one
        "pageSize": len(tasks),
        "totalSize": found.total,
    }


def _object(params: Any) -> dict[str, Any]:
    if not isinstance(params, dict):
        raise ParseError("params must be an object")
    return params


def parse_task_id(text: str) -> UUID:
    """Returns a task's id; raises TaskNotFoundError for an invalid one."""
    try:
        return parse_id(text[:100], "task")
    except NotFound:
        raise TaskNotFoundError from None


def sent_in(message: Message) -> UUID | None:
    """Returns the run that a message claims to be sent in, if that is a valid id."""
    said = dict(message.metadata.items()).get(INVOCATION_KEY)
    try:
        return UUID(said) if isinstance(said, str) else None
    except ValueError:
        return None


def show_task(view: TaskView, *, history: int | None) -> Task:
    """Formats a task: its state, each reply as an artifact or why there is none, and its newest messages, up to
    `history`.
    """
    task_id = str(view.id)
    status = TaskStatus(state=STATES[view.state])
    status.timestamp.FromDatetime(view.changed_at)
    if view.is_over and view.why and view.state is not InvocationState.SUCCEEDED:
        status.message.CopyFrom(
            Message(
                message_id=f"{task_id}.status",
                context_id=view.context_id,
                task_id=task_id,
                role=Role.ROLE_AGENT,
                parts=[Part(text=view.why)],
            )
        )
    said = [
        Message(
            message_id=each.id,
            context_id=view.context_id,
            task_id=task_id,
            role=Role.ROLE_USER,
            parts=[Part(text=each.text)],
        )
        for each in view.messages
    ]
    return Task(
        id=task_id,
        context_id=view.context_id,
        status=status,
        artifacts=[
            Artifact(artifact_id=str(id_), name="reply", parts=[Part(text=reply)])
            for id_, reply in view.replies.items()
        ],
        history=said if history is None else said[max(len(said) - history, 0) :],
    )


def result(task: Task, method: str, *, legacy: bool) -> dict[str, Any]:
    """Formats a task as the result of a method."""
    if legacy:
        shown: dict[str, Any] = conversions.to_compat_task(task).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        return shown
    answer = SendMessageResponse(task=task) if method == "SendMessage" else task
    return dict(MessageToDict(answer))


def error(failure: A2AError) -> dict[str, Any]:
    """Formats a protocol error for JSON-RPC, with ErrorInfo for A2A's own errors."""
    code = JSON_RPC_ERROR_CODE_MAP.get(type(failure), -32603)
    shown: dict[str, Any] = {"code": code, "message": failure.message}
    if not isinstance(failure, MethodNotFoundError):
        reason = A2A_ERROR_REASONS.get(type(failure), "UNKNOWN_ERROR")
        info = {
            "@type": ERROR_INFO,
            "reason": reason,
            "domain": "a2a-protocol.org",
            "metadata": failure.data or {},
        }
        shown["data"] = [info]
    return shown


def data_as_text(body: dict[str, Any], sent: bytes, *, legacy: bool) -> None:
    """Replaces the data parts of a request's message by text with their JSON, as they were sent: the protocol's types
    turn every number into a double. `sent` is the request's body.
    """
    parts = [*enumerate(_parts_of(body))]
    data = {number: part for number, part in parts if _is_data(part, legacy=legacy)}
    if not data:
        return
    exact = _parts_of(read_json(decode_strictly(sent, "application/json") or "")[0])
    for number, part in data.items():
        del part["data"]
        part |= {"text": write_json(exact[number]["data"], ascii_only=False, sort_keys=False)}
        part |= {"kind": "text"} if legacy else {}


def _parts_of(body: Any) -> list[Any]:
    for name in ("params", "message", "parts"):
        body = body.get(name) if isinstance(body, dict) else None
    return body if isinstance(body, list) else []


def _is_data(part: Any, *, legacy: bool) -> bool:
    if not isinstance(part, dict) or part.get("data") is None or not CONTENTS.isdisjoint(part):
        return False
    return not legacy or (part.get("kind") == "data" and isinstance(part["data"], dict))
