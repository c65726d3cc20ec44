"""Reads A2A tasks as their senders see them: the firing of the first message, with those that continued it."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from scheduler.domain.errors import NotFound
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.storage.rows import row_as, rows_as

# A task has the state of the invocation that carries its newest message.
_TASKS = """
    FROM a2a_tasks t JOIN firings f ON f.id = coalesce(t.last_firing_id, t.firing_id)
        JOIN invocations i ON i.id = f.invocation_id
    WHERE t.agent_id = :agent_id AND t.tenant_id = :tenant_id AND t.task_id IS NULL
"""
_CHANGED = "coalesce(i.finished_at, i.started_at, i.ready_at, f.fired_at)"
_COLUMNS = f"""
    SELECT t.firing_id AS id, t.context_id, f.invocation_id, i.state, i.reason, i.tries, {_CHANGED} AS changed_at
"""
READ = text(f"{_COLUMNS} {_TASKS} AND t.firing_id = :id")

_WANTED = f"""
        AND (CAST(:context_id AS text) IS NULL OR t.context_id = :context_id)
        AND (CAST(:states AS text[]) IS NULL OR i.state = ANY(CAST(:states AS text[])))
        AND (CAST(:since AS timestamptz) IS NULL OR {_CHANGED} >= :since)
"""
COUNT = text(f"SELECT count(*) {_TASKS} {_WANTED}")
LIST = text(f"""
    {_COLUMNS} {_TASKS} {_WANTED}
        AND (CAST(:before AS timestamptz) IS NULL
            OR ({_CHANGED}, t.firing_id) < (:before, CAST(:before_id AS uuid)))
    ORDER BY changed_at DESC, t.firing_id DESC LIMIT :limit
""")

MESSAGES = text("""
    SELECT coalesce(t.task_id, t.firing_id) AS task_id, t.message_id, f.data, f.invocation_id, i.state, i.reply
    FROM a2a_tasks t JOIN firings f ON f.id = t.firing_id JOIN invocations i ON i.id = f.invocation_id
    WHERE t.firing_id = ANY(CAST(:ids AS uuid[])) OR t.task_id = ANY(CAST(:ids AS uuid[]))
    ORDER BY t.firing_id
""")


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of a task and its result. `reply` None: no reply, or none yet."""

    id: str
    text: str
    invocation_id: UUID
    reply: str | None


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as its sender sees it: its messages, oldest first, and the state of the newest one's invocation."""

    id: UUID
    context_id: str
    messages: list[SentMessage]
    invocation_id: UUID
    state: InvocationState
    changed_at: datetime
    why: str
    """For a failed task: the last error, or the reason."""

    @property
    def is_over(self) -> bool:
        """Whether the task has ended."""
        return self.state in FINAL_STATES

    @property
    def replies(self) -> dict[UUID, str]:
        """The replies by invocation; an invocation that carried several messages appears once."""
        return {each.invocation_id: each.reply for each in self.messages if each.reply}


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Selects tasks of an agent: a page size and position, a conversation, states, changed since."""

    size: int
    before: tuple[datetime, UUID] | None = None
    context_id: str | None = None
    states: list[str] | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A page of tasks, most recently changed first; `total` counts all matches."""

    tasks: list[TaskView]
    total: int
    next_cursor: str
    """The start of the next page; empty on the last."""


class _Task(NamedTuple):
    """A task as it is read; its id is that of its first firing."""

    id: UUID
    context_id: str
    invocation_id: UUID
    state: str
    changed_at: datetime
    tries: list[dict[str, Any]]
    reason: str | None


def read_task(conn: Connection, tenant_id: UUID, agent_id: UUID, task_id: UUID) -> TaskView:
    """Returns a task of an agent; raises NotFound."""
    row = row_as(_Task, conn.execute(READ, {"id": task_id, "agent_id": agent_id, "tenant_id": tenant_id}))
    if row is None:
        raise NotFound(f"There is no task '{task_id}'.")
    [view] = _views(conn, [row])
    return view


def list_tasks(conn: Connection, tenant_id: UUID, agent_id: UUID, wanted: TaskFilter) -> TaskPage:
    """Returns a page of an agent's tasks."""
    before, before_id = wanted.before or (None, None)
    values = {
        "tenant_id": tenant_id,
        "agent_id": agent_id,
        "context_id": wanted.context_id,
        "states": wanted.states,
        "since": wanted.since,
    }
    total = conn.execute(COUNT, values).scalar_one()
    page = {"before": before, "before_id": before_id, "limit": wanted.size + 1}
    rows = rows_as(_Task, conn.execute(LIST, values | page))
    shown = _views(conn, rows[: wanted.size])
    cursor = f"{shown[-1].changed_at.isoformat()}|{shown[-1].id}" if len(rows) > wanted.size else ""
    return TaskPage(shown, total, urlsafe_b64encode(cursor.encode()).decode())


def read_cursor(text_: str) -> tuple[datetime, UUID]:
    """Parses a page cursor. Raises ValueError when it is invalid."""
    at, _, id_ = urlsafe_b64decode(text_.encode()).decode().partition("|")
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("no instant")
    return moment, UUID(id_)


def text_in(data: dict[str, Any]) -> str:
    """Returns the text of the message in a firing's data."""
    return str(data["messages"][0]["text"])


def _views(conn: Connection, rows: Iterable[_Task]) -> list[TaskView]:
    found = list(rows)
    messages: dict[UUID, list[SentMessage]] = {row.id: [] for row in found}
    for row in conn.execute(MESSAGES, {"ids": [*messages]}):
        reply = row.reply if row.state == InvocationState.SUCCEEDED else None
        messages[row.task_id].append(SentMessage(row.message_id, text_in(row.data), row.invocation_id, reply))
    return [_view(row, messages[row.id]) for row in found]


def _view(row: _Task, messages: list[SentMessage]) -> TaskView:
    errors = [each["error"] for each in row.tries if each.get("error")]
    return TaskView(
        id=row.id,
        context_id=row.context_id,
        messages=messages,
        invocation_id=row.invocation_id,
        state=InvocationState(row.state),
        changed_at=row.changed_at,
        why=errors[-1] if errors else row.reason or "",
    )
