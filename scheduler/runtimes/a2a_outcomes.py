"""Converts what a remote agent answers, a task or an error, to the outcome of an attempt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

import httpx
from a2a.client.errors import A2AClientError, AgentCardResolutionError
from a2a.types.a2a_pb2 import Artifact, Part, Role, Task, TaskState
from a2a.utils.errors import A2AError, InternalError, InvalidAgentResponseError, TaskNotFoundError
from google.protobuf.json_format import MessageToDict, ParseError

from scheduler.domain.errors import ReveilleError
from scheduler.domain.run import Failed, Outcome, Replied
from scheduler.domain.text import storable
from scheduler.net.errors import is_put_off, parse_retry_after

MAX_WHOLE = 2**53
"""Beyond this a double does not identify the integer that was sent."""
QUESTION = "The agent cannot continue by itself and asks:"
TEMPORARY_STATUSES = frozenset({408, 425, 429})
TEMPORARY_ERRORS = (InternalError, InvalidAgentResponseError, TaskNotFoundError)
"""Errors that may pass; any other protocol error means that our request will never succeed."""
NOT_A2A = (ParseError, ValueError, KeyError, TypeError, AttributeError)
"""The library's errors for responses that are not A2A."""
ERRORS = (ReveilleError, A2AError, httpx.HTTPError, *NOT_A2A)
"""Everything that a call of a remote agent may raise."""


def outcome_of(task: Task) -> Outcome | None:
    """Returns the outcome of an ended task;

    None while it continues, and for states that this version does not know.
    """
    said = text_of(task.status.message.parts)
    match task.status.state:
        case TaskState.TASK_STATE_COMPLETED:
            return replied(result_of(task) or said or last_message(task))
        case TaskState.TASK_STATE_INPUT_REQUIRED:
            return replied("\n".join(filter(None, [QUESTION, said or "(no further message)", result_of(task)])))
        case TaskState.TASK_STATE_AUTH_REQUIRED:
            return Failed(_sentence("The agent requires other credentials", said), permanent=True)
        case TaskState.TASK_STATE_FAILED:
            return Failed(_sentence("The agent's task failed", said))
        case TaskState.TASK_STATE_REJECTED:
            return Failed(_sentence("The agent rejected the task", said), permanent=True)
        case TaskState.TASK_STATE_CANCELED:
            return Failed(_sentence("The task was cancelled at the agent", said), permanent=True)
    return None


def is_canceled(task: Task) -> bool:
    """Whether somebody cancelled the task, perhaps an earlier attempt of ours."""
    return task.status.state == TaskState.TASK_STATE_CANCELED


def replied(text: str) -> Replied:
    """Returns a reply, cut at the maximum length."""
    kept, cut = storable(text)
    return Replied(kept, cut)


def result_of(task: Task) -> str:
    """Returns the content of the artifacts, separated by blank lines."""
    return "\n\n".join(filter(None, (_artifact_text(artifact) for artifact in task.artifacts)))


def last_message(task: Task) -> str:
    """Returns the agent's last message in the task's history, as some end a task without an artifact or message."""
    said = (text_of(each.parts) for each in reversed(task.history) if each.role == Role.ROLE_AGENT)
    return next(filter(None, said), "")


def text_of(parts: Iterable[Part]) -> str:
    """Returns a message's content: texts as they are, data as JSON, files by name or address, each on separate
    lines.
    """
    return "\n".join(filter(None, map(_part, parts))).strip()


def append(task: Task, artifact: Artifact, *, append: bool) -> None:
    """Applies an update of a stream: a new artifact, a replaced one, or more parts of one."""
    known = next((each for each in task.artifacts if each.artifact_id == artifact.artifact_id), None)
    if known is None:
        task.artifacts.append(artifact)
    elif append:
        known.parts.extend(artifact.parts)
    else:
        known.CopyFrom(artifact)


def _artifact_text(artifact: Artifact) -> str:
    """Like `text_of`, but joins adjacent texts, as a stream splits them into pieces of any size."""
    runs = groupby(artifact.parts, lambda part: part.WhichOneof("content") == "text")
    return "\n".join(
        filter(None, ("".join(map(_part, parts)) if is_text else text_of(parts) for is_text, parts in runs))
    ).strip()


def _part(part: Part) -> str:
    match part.WhichOneof("content"):
        case "text":
            return part.text
        case "data":
            return json.dumps(_plain(MessageToDict(part.data)), ensure_ascii=False)
        case "url":
            return part.url
        case "raw":
            return f"[file {part.filename or part.media_type or 'without a name'}, {len(part.raw)} bytes]"
    return ""


def _plain(value: Any) -> Any:
    """Returns data with whole numbers as integers; the protocol's shapes make every number a double."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= MAX_WHOLE
    return int(value) if is_whole else value


def _sentence(what: str, said: str) -> str:
    return f"{what}: {said}" if said else f"{what}."


def failure(error: BaseException, now: datetime) -> Failed:
    """Converts one of ERRORS: whether to retry, and after how long."""
    if isinstance(error, ReveilleError):
        return Failed(error.message, permanent=error.permanent)
    if isinstance(error, A2AError) and not isinstance(error, A2AClientError):
        return Failed(
            f"The agent answered with an error: {error}", permanent=not isinstance(error, TEMPORARY_ERRORS)
        )
    response = _response(error)
    if response is not None:
        return _refused(response, now)
    cause = error.__cause__ or error
    if isinstance(cause, httpx.HTTPError):
        return Failed(f"The connection to the agent failed: {str(cause) or type(cause).__name__}")
    if isinstance(error, AgentCardResolutionError):
        return Failed(f"The agent's card is invalid: {error}", permanent=True)
    return Failed(f"The agent's answer is not A2A: {error}")


def _response(error: BaseException) -> httpx.Response | None:
    for each in (error, error.__cause__):
        if isinstance(each, httpx.HTTPStatusError):
            return each.response
    return None


def _refused(response: httpx.Response, now: datetime) -> Failed:
    """Handles an HTTP status as the `http` runtime does."""
    status = response.status_code
    if status in TEMPORARY_STATUSES or status >= 500:
        wait = parse_retry_after(response.headers.get("retry-after"), now)
        return Failed(f"The agent answered HTTP {status}.", retry_after=wait, was_put_off=is_put_off(status, wait))
    return Failed(f"The agent answered HTTP {status}.", permanent=True)
