"""Handles messages received over A2A: each one is a wake, and the sender's task is the resulting firing."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from scheduler.domain.errors import Conflict, InvalidField, LimitReached, NotFound
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.intake.wakes.intake import Call, Woken, wake_within
from scheduler.invocations.lifecycle import request_cancel
from scheduler.storage.engine import Database

MAX_ID = 200

INSERT = text("""
    INSERT INTO a2a_tasks (firing_id, tenant_id, agent_id, key_id, message_id, context_id)
    VALUES (:firing_id, :tenant_id, :agent_id, :key_id, :message_id, :context_id) ON CONFLICT DO NOTHING
""")

KNOWN = text("""
    SELECT t.firing_id, f.data FROM a2a_tasks t JOIN firings f ON f.id = t.firing_id
    WHERE t.agent_id = :agent_id AND t.key_id = :key_id AND t.message_id = :message_id
""")

READ = text("""
    SELECT t.firing_id AS id, t.context_id, t.message_id, f.data, f.invocation_id, i.state, i.reason, i.reply, i.tries,
        coalesce(i.finished_at, i.started_at, i.ready_at, f.fired_at) AS changed_at
    FROM a2a_tasks t JOIN firings f ON f.id = t.firing_id JOIN invocations i ON i.id = f.invocation_id
    WHERE t.firing_id = :id AND t.agent_id = :agent_id AND t.tenant_id = :tenant_id
""")

SENDER = text("SELECT key_id FROM a2a_tasks WHERE firing_id = :id")

_LISTED = """
    FROM a2a_tasks t JOIN firings f ON f.id = t.firing_id JOIN invocations i ON i.id = f.invocation_id
    WHERE t.agent_id = :agent_id AND t.tenant_id = :tenant_id
        AND (CAST(:context_id AS text) IS NULL OR t.context_id = :context_id)
        AND (CAST(:states AS text[]) IS NULL OR i.state = ANY(CAST(:states AS text[])))
        AND (CAST(:since AS timestamptz) IS NULL
            OR coalesce(i.finished_at, i.started_at, i.ready_at, f.fired_at) >= :since)
"""
COUNT_LISTED = text(f"SELECT count(*) {_LISTED}")
LIST = text(f"""
    SELECT t.firing_id AS id, t.context_id, t.message_id, f.data, f.invocation_id, i.state, i.reason, i.reply, i.tries,
        coalesce(i.finished_at, i.started_at, i.ready_at, f.fired_at) AS changed_at
    {_LISTED}
        AND (CAST(:before AS timestamptz) IS NULL
            OR (coalesce(i.finished_at, i.started_at, i.ready_at, f.fired_at), t.firing_id)
                < (:before, CAST(:before_id AS uuid)))
    ORDER BY changed_at DESC, t.firing_id DESC LIMIT :limit
""")

CALLING = text("""
    SELECT agent_id FROM invocations
    WHERE id = :id AND tenant_id = :tenant_id AND state IN ('running', 'awaiting', 'retrying')
""")

# Anyone who joins the window waits for this lock, so the count is valid until commit.
LOCK_CARRIER = text("SELECT id FROM invocations WHERE id = :id FOR UPDATE")
COUNT_CARRIED = text("SELECT count(*) FROM firings WHERE invocation_id = :id")


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a message and the sender's ids. `context_id` None: a new conversation."""

    key_id: UUID
    actor: str
    message_id: str
    context_id: str | None = None
    invocation_id: UUID | None = None
    """The run in this installation that the message claims to come from."""


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as its sender sees it: its message and the state of the invocation that carries it."""

    id: UUID
    context_id: str
    message_id: str
    message: str
    invocation_id: UUID
    state: InvocationState
    changed_at: datetime
    reply: str
    why: str
    """For a failed task: the last error, or the reason."""

    @property
    def is_over(self) -> bool:
        """Whether the task has ended."""
        return self.state in FINAL_STATES


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


class _Repeated(Exception):
    """A concurrent request stored the same message first."""


def send(db: Database, call: Call, sender: Sender) -> UUID:
    """Wakes an agent with a message; returns the task's id. A repeated message is accepted once.

    A message from a run of the same tenant counts as that agent's and is one deeper in its chain. Raises as `wake`
    does, and InvalidField for an invalid id or one used for another message.
    """
    for name, value in (("messageId", sender.message_id), ("contextId", sender.context_id or "-")):
        if not value or len(value) > MAX_ID or not value.isprintable():
            raise InvalidField(f"{name} must have 1 to {MAX_ID} printable characters.", field=name)
    known = _known(db, call, sender)
    if known is not None:
        return known
    try:
        with db.begin() as conn:
            outcome = wake_within(conn, _called_by(conn, call, sender), actor=sender.actor)
            if isinstance(outcome, Woken):
                _keep(conn, call, sender, outcome)
    except _Repeated:
        known = _known(db, call, sender)
        assert known is not None  # noqa: S101  # it was committed before our insertion gave way
        return known
    if isinstance(outcome, LimitReached):
        raise outcome
    return outcome.firing_id


def read_task(conn: Connection, tenant_id: UUID, agent_id: UUID, task_id: UUID) -> TaskView:
    """Returns a task of an agent; raises NotFound."""
    row = conn.execute(READ, {"id": task_id, "agent_id": agent_id, "tenant_id": tenant_id}).one_or_none()
    if row is None:
        raise NotFound(f"There is no task '{task_id}'.")
    return _view(row)


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
    total = conn.execute(COUNT_LISTED, values).scalar_one()
    page = {"before": before, "before_id": before_id, "limit": wanted.size + 1}
    views = [_view(row) for row in conn.execute(LIST, values | page)]
    shown = views[: wanted.size]
    cursor = f"{shown[-1].changed_at.isoformat()}|{shown[-1].id}" if len(views) > wanted.size else ""
    return TaskPage(shown, total, urlsafe_b64encode(cursor.encode()).decode())


def read_cursor(text_: str) -> tuple[datetime, UUID]:
    """Parses a page cursor. Raises ValueError when it is invalid."""
    at, _, id_ = urlsafe_b64decode(text_.encode()).decode().partition("|")
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("no instant")
    return moment, UUID(id_)


def cancel_task(
    conn: Connection, tenant_id: UUID, agent_id: UUID, task_id: UUID, actor: str, *, sent_by: UUID | None = None
) -> TaskView:
    """Cancels the invocation of a task that is alone in it. Raises NotFound, and Conflict otherwise.

    An invocation with other firings serves their senders too, and one of them cannot cancel it. `sent_by`: only a
    task that this key sent, for an agent with its own key.
    """
    task = read_task(conn, tenant_id, agent_id, task_id)
    if sent_by is not None and conn.scalar(SENDER, {"id": task_id}) != sent_by:
        raise Conflict("Somebody else sent the task; its agent does it, and does not call it off.")
    conn.execute(LOCK_CARRIER, {"id": task.invocation_id})
    if conn.execute(COUNT_CARRIED, {"id": task.invocation_id}).scalar_one() != 1:
        raise Conflict("The agent is woken for other things at the same time; the task cannot be taken out.")
    request_cancel(conn, tenant_id, task.invocation_id, actor)
    return read_task(conn, tenant_id, agent_id, task_id)


def _known(db: Database, call: Call, sender: Sender) -> UUID | None:
    key = {"agent_id": call.agent_id, "key_id": sender.key_id, "message_id": sender.message_id}
    with db.begin() as conn:
        row = conn.execute(KNOWN, key).one_or_none()
    if row is None:
        return None
    if _message(row.data) != call.message:
        raise InvalidField("messageId was that of another message; make a new one.", field="messageId")
    firing_id: UUID = row.firing_id
    return firing_id


def _called_by(conn: Connection, call: Call, sender: Sender) -> Call:
    if call.from_agent_id is not None or sender.invocation_id is None:
        return call
    agent_id = conn.scalar(CALLING, {"id": sender.invocation_id, "tenant_id": call.tenant_id})
    return replace(call, from_agent_id=agent_id)


def _keep(conn: Connection, call: Call, sender: Sender, woken: Woken) -> None:
    kept = conn.execute(
        INSERT,
        {
            "firing_id": woken.firing_id,
            "tenant_id": call.tenant_id,
            "agent_id": call.agent_id,
            "key_id": sender.key_id,
            "message_id": sender.message_id,
            "context_id": sender.context_id or str(uuid4()),
        },
    )
    if kept.rowcount == 0:
        raise _Repeated


def _view(row: Row[Any]) -> TaskView:
    errors = [each["error"] for each in row.tries if each.get("error")]
    return TaskView(
        id=row.id,
        context_id=row.context_id,
        message_id=row.message_id,
        message=_message(row.data),
        invocation_id=row.invocation_id,
        state=InvocationState(row.state),
        changed_at=row.changed_at,
        reply=row.reply or "",
        why=errors[-1] if errors else row.reason or "",
    )


def _message(data: dict[str, Any]) -> str:
    return str(data["messages"][0]["text"])
