"""Handles messages received over A2A: each is a wake, and the sender's task is the firing of its first message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from scheduler.domain.errors import Conflict, InvalidField, LimitReached
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.intake.wakes.a2a_views import TaskView, read_task, text_in
from scheduler.intake.wakes.intake import Call, WakeResult, wake_in_transaction
from scheduler.invocations.lifecycle import request_cancel
from scheduler.storage.engine import Database

MAX_ID = 200

INSERT = text("""
    INSERT INTO a2a_tasks (firing_id, tenant_id, agent_id, key_id, message_id, context_id, task_id)
    VALUES (:firing_id, :tenant_id, :agent_id, :key_id, :message_id, :context_id, :task_id) ON CONFLICT DO NOTHING
""")

CONTINUE = text("""
    UPDATE a2a_tasks SET last_firing_id = greatest(coalesce(last_firing_id, firing_id), CAST(:firing_id AS uuid))
    WHERE firing_id = :task_id
""")

KNOWN = text("""
    SELECT coalesce(t.task_id, t.firing_id) AS task_id, f.data FROM a2a_tasks t JOIN firings f ON f.id = t.firing_id
    WHERE t.agent_id = :agent_id AND t.key_id = :key_id AND t.message_id = :message_id
""")

SENDER = text("SELECT key_id FROM a2a_tasks WHERE firing_id = :id")

CALLING = text("""
    SELECT agent_id FROM invocations
    WHERE id = :id AND tenant_id = :tenant_id AND state IN ('running', 'awaiting', 'retrying')
""")

# Anyone who joins the window, or ends the run, waits for this lock, so what is read under it is valid until commit.
LOCK_CARRIER = text("SELECT state FROM invocations WHERE id = :id FOR UPDATE")
COUNT_OTHERS = text("""
    SELECT count(*) FROM firings f WHERE f.invocation_id = :id AND NOT EXISTS (
        SELECT FROM a2a_tasks t WHERE t.firing_id = f.id AND coalesce(t.task_id, t.firing_id) = :task_id)
""")


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a message and the sender's ids. `context_id` None: a new conversation, or that of the task."""

    key_id: UUID
    actor: str
    message_id: str
    context_id: str | None = None
    invocation_id: UUID | None = None
    """The run in this installation that the message claims to come from."""
    task_id: UUID | None = None
    """The task that the message continues."""


class _Repeated(Exception):
    """A concurrent request stored the same message first."""


def send(db: Database, call: Call, sender: Sender) -> UUID:
    """Wakes an agent with a message; returns the task's id. A repeated message is accepted once.

    A message from a run of the same tenant counts as that agent's and is one deeper in its chain. A message that
    continues a task is a wake too, in the same window if that still collects.

    Raises as `wake` does, NotFound for an unknown task, Conflict for one that has ended, and InvalidField for an id
    that is invalid, was used for another message, or does not belong to the task.
    """
    for name, value in (("messageId", sender.message_id), ("contextId", sender.context_id or "-")):
        if not value or len(value) > MAX_ID or not value.isprintable():
            raise InvalidField(f"{name} must have 1 to {MAX_ID} printable characters.", field=name)
    known = _known(db, call, sender)
    if known is not None:
        return known
    call = replace(call, task_id=sender.task_id)
    try:
        with db.begin() as conn:
            if sender.task_id is not None:
                sender = replace(sender, context_id=_continued(conn, call, sender, sender.task_id))
            outcome = wake_in_transaction(conn, _called_by(conn, call, sender), actor=sender.actor)
            if isinstance(outcome, WakeResult):
                _keep(conn, call, sender, outcome)
    except _Repeated:
        known = _known(db, call, sender)
        assert known is not None  # noqa: S101  # it was committed before our insertion gave way
        return known
    if isinstance(outcome, LimitReached):
        raise outcome
    return sender.task_id or outcome.firing_id


def cancel_task(
    conn: Connection, tenant_id: UUID, agent_id: UUID, task_id: UUID, actor: str, *, sent_by: UUID | None = None
) -> TaskView:
    """Cancels the invocations of a task that is alone in them. Raises NotFound, and Conflict otherwise.

    An invocation with other firings serves their senders too, and one of them cannot cancel it. `sent_by`: only a
    task that this key sent, for an agent with its own key.
    """
    task = read_task(conn, tenant_id, agent_id, task_id)
    if sent_by is not None and conn.scalar(SENDER, {"id": task_id}) != sent_by:
        raise Conflict("Somebody else sent the task; only its sender can cancel it.")
    carriers = {each.invocation_id for each in task.messages} - {task.invocation_id}
    # The newest is locked last, as by the end of a run, which locks its agent's next window after it.
    going_on = [each for each in sorted(carriers) if _locked_state(conn, each) not in FINAL_STATES]
    _locked_state(conn, task.invocation_id)
    for each in (*going_on, task.invocation_id):
        if conn.execute(COUNT_OTHERS, {"id": each, "task_id": task_id}).scalar_one():
            raise Conflict("The same wake carries other firings; the task cannot be cancelled alone.")
    for each in (*going_on, task.invocation_id):
        request_cancel(conn, tenant_id, each, actor)
    return read_task(conn, tenant_id, agent_id, task_id)


def _continued(conn: Connection, call: Call, sender: Sender, task_id: UUID) -> str:
    """Returns the conversation of an open task, and keeps the task from ending before this transaction commits."""
    task = read_task(conn, call.tenant_id, call.agent_id, task_id)
    if sender.context_id not in (None, task.context_id):
        raise InvalidField("contextId is not that of the task; leave it out.", field="contextId")
    # A collecting window is locked later, when the firing joins it: the trigger comes first everywhere.
    is_over = task.is_over or (
        task.state is not InvocationState.COLLECTING and _locked_state(conn, task.invocation_id) in FINAL_STATES
    )
    if is_over:
        raise Conflict("The task has ended and takes no more messages; send one without its id.")
    return task.context_id


def _locked_state(conn: Connection, invocation_id: UUID) -> InvocationState:
    return InvocationState(conn.execute(LOCK_CARRIER, {"id": invocation_id}).scalar_one())


def _known(db: Database, call: Call, sender: Sender) -> UUID | None:
    key = {"agent_id": call.agent_id, "key_id": sender.key_id, "message_id": sender.message_id}
    with db.begin() as conn:
        row = conn.execute(KNOWN, key).one_or_none()
    if row is None:
        return None
    if text_in(row.data) != call.message or sender.task_id not in (None, row.task_id):
        raise InvalidField("messageId was used for another message; create a new one.", field="messageId")
    task_id: UUID = row.task_id
    return task_id


def _called_by(conn: Connection, call: Call, sender: Sender) -> Call:
    if call.from_agent_id is not None or sender.invocation_id is None:
        return call
    agent_id = conn.scalar(CALLING, {"id": sender.invocation_id, "tenant_id": call.tenant_id})
    return replace(call, from_agent_id=agent_id)


def _keep(conn: Connection, call: Call, sender: Sender, woken: WakeResult) -> None:
    kept = conn.execute(
        INSERT,
        {
            "firing_id": woken.firing_id,
            "tenant_id": call.tenant_id,
            "agent_id": call.agent_id,
            "key_id": sender.key_id,
            "message_id": sender.message_id,
            "context_id": sender.context_id or str(uuid4()),
            "task_id": sender.task_id,
        },
    )
    if kept.rowcount == 0:
        raise _Repeated
    if sender.task_id is not None:
        conn.execute(CONTINUE, {"firing_id": woken.firing_id, "task_id": sender.task_id})
