"""Stores transcripts: what an `llm` agent did in one run, written during the run so that a retry can continue it.

People read a transcript as a session of the channel `trigger`; each response is also kept whole for the model. For
agents that run elsewhere the session holds the context and the reply, and is written when the run ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from scheduler.domain.context import session_title
from scheduler.domain.errors import Conflict
from scheduler.domain.ids import new_id
from scheduler.domain.llm import CallState, EarlierAttempts, FinishedCall, ResponseUsage
from scheduler.domain.model import InvocationState
from scheduler.domain.text import storable
from scheduler.storage.arrays import uuid_array
from scheduler.storage.pipelines import Answer, send_along
from scheduler.storage.rows import insert_rows, row_as, rows_as
from scheduler.storage.tables.core import Invocation
from scheduler.storage.tables.messages import Message, Session
from scheduler.storage.tables.tenants import ModelResponse
from scheduler.storage.usage import count_spent

CHANNEL = "trigger"
"""The channel of reflections, which nobody can write to."""
SYSTEM = "system"
"""The `from_type` of the context (to the agent) and of notes (to people); `from_id` is then the invocation's."""
INTERRUPTED = (
    "The run was interrupted while this call was under way: it may or may not have taken effect. "
    "Check before you repeat it."
)

_NOW = func.clock_timestamp()

UNTOLD = text("""
    SELECT i.id, i.tenant_id, i.agent_id, i.context, a.language,
        ARRAY(SELECT f.trigger_name FROM firings f WHERE f.invocation_id = i.id ORDER BY f.id) AS names
    FROM invocations i JOIN agents a ON a.id = i.agent_id
    WHERE i.id = ANY(CAST(:ids AS uuid[])) AND i.context IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.invocation_id = i.id)
    ORDER BY i.id
""")


class _UntoldRun(NamedTuple):
    """A run that was given a context and has no session."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID
    context: str
    language: str
    names: list[str]


class Superseded(Conflict):
    """The attempt is no longer running: it was cancelled or another worker took it over."""


def open_transcript(
    conn: Connection, invocation_id: UUID, attempt: int, *, title: str, context: str
) -> EarlierAttempts:
    """Opens the session of a run: the first attempt creates it with its context; later ones get the earlier
    responses.

    Calls in progress when an attempt ended become `interrupted`. Raises Superseded.
    """
    run = _hold(conn, invocation_id, attempt)
    made = {"tenant_id": run.tenant_id, "agent_id": run.agent_id, "channel": CHANNEL, "is_reflection": True}
    session_id = conn.scalar(
        insert(Session)
        .values(id=new_id(), invocation_id=invocation_id, thread=str(invocation_id), title=title, **made)
        .on_conflict_do_nothing()
        .returning(Session.id)
    )
    if session_id is not None:
        _say(conn, run, session_id, context, from_type=SYSTEM, from_id=run.id, to_agent_id=run.agent_id)
        return EarlierAttempts(session_id)
    session_id = conn.execute(select(Session.id).where(Session.invocation_id == invocation_id)).scalar_one()
    _end(conn, session_id, CallState.INTERRUPTED, INTERRUPTED)
    return EarlierAttempts(session_id, _responses(conn, invocation_id), _ended_calls(conn, session_id))


def add_response(
    conn: Connection,
    invocation_id: UUID,
    attempt: int,
    position: int,
    response: str,
    *,
    said: str,
    spent: ResponseUsage,
) -> None:
    """Stores a response as JSON, its visible text, and its usage. Numbered from 0. Raises Superseded."""
    run = _hold(conn, invocation_id, attempt)
    kept = conn.execute(
        insert(ModelResponse)
        .values(invocation_id=invocation_id, position=position, response=response)
        .on_conflict_do_nothing()
    )
    if not kept.rowcount:
        return  # already written by a commit whose answer was lost
    if said:
        session_id = conn.execute(select(Session.id).where(Session.invocation_id == invocation_id)).scalar_one()
        _say(conn, run, session_id, said, from_type="agent", from_id=run.agent_id, to_agent_id=None)
    count_spent(conn, invocation_id, spent)


def add_note(conn: Connection, invocation_id: UUID, attempt: int, session_id: UUID, note: str) -> None:
    """Adds a note to the transcript about something that the model did not say or do. Raises Superseded."""
    run = _hold(conn, invocation_id, attempt)
    _say(conn, run, session_id, note, from_type=SYSTEM, from_id=run.id, to_agent_id=None)


def start_call(
    conn: Connection, invocation_id: UUID, attempt: int, session_id: UUID, *, key: str, name: str, arguments: str
) -> None:
    """Records a tool call before it is made. Raises Superseded: the call must then not be made."""
    run = _hold(conn, invocation_id, attempt)
    call = {
        "tool_key": key,
        "tool_name": storable(name)[0],
        "tool_arguments": storable(arguments)[0],
        "tool_state": CallState.RUNNING,
    }
    _say(conn, run, session_id, "", from_type="agent", from_id=run.agent_id, to_agent_id=None, **call)


def end_call(conn: Connection, session_id: UUID, key: str, ended: FinishedCall) -> None:
    """Records the result of a tool call, even when the run was taken over meanwhile, since the call was made."""
    _end(conn, session_id, ended.state, ended.result, Message.tool_key == key)


def ask_untold(conn: Connection, invocation_ids: Iterable[UUID]) -> Answer:
    """Asks which of the ended runs wrote no session while running, and what their agents were told, as _UntoldRun."""
    return send_along(conn, UNTOLD, ids=uuid_array(invocation_ids))


def keep_reflections(conn: Connection, replies: Mapping[UUID, str], untold: Answer) -> None:
    """Creates the sessions of ended runs that wrote none while running: what each agent was told and its reply.

    `replies` is keyed by invocation; `untold`: the answer to `ask_untold` for them. An invocation that was never run
    has no context and gets none.
    """
    sessions: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for run in rows_as(_UntoldRun, untold):
        session = {"id": new_id(), "tenant_id": run.tenant_id, "agent_id": run.agent_id, "channel": CHANNEL}
        title = session_title(run.names, "zh" if run.language == "zh" else "en")
        sessions.append(
            session | {"thread": str(run.id), "title": title, "is_reflection": True, "invocation_id": run.id}
        )
        said: list[tuple[str, UUID, UUID | None, str]] = [(SYSTEM, run.id, run.agent_id, run.context)]
        if replies[run.id].strip():
            said.append(("agent", run.agent_id, None, replies[run.id]))
        messages += [
            {
                "id": new_id(),
                "tenant_id": run.tenant_id,
                "session_id": session["id"],
                "channel": CHANNEL,
                "from_type": from_type,
                "from_id": from_id,
                "to_agent_id": to_agent_id,
                "text": storable(words)[0],
            }
            for from_type, from_id, to_agent_id, words in said
        ]
    insert_rows(conn, Session.__tablename__, sessions)
    insert_rows(conn, Message.__tablename__, messages)


def transcript_of(conn: Connection, invocation_id: UUID) -> Session | None:
    """Returns the session of an invocation; None when it has none."""
    query = select(Session.__table__).where(Session.invocation_id == invocation_id)
    return row_as(Session, conn.execute(query))


class LockedRun(NamedTuple):
    """A running invocation that is locked."""

    id: UUID
    tenant_id: UUID
    agent_id: UUID


def _hold(conn: Connection, invocation_id: UUID, attempt: int) -> LockedRun:
    """Locks the running attempt, which keeps it ours until commit. Raises Superseded."""
    row = row_as(
        LockedRun,
        conn.execute(
            select(Invocation.id, Invocation.tenant_id, Invocation.agent_id)
            .where(
                Invocation.id == invocation_id,
                Invocation.attempt == attempt,
                Invocation.state == InvocationState.RUNNING,
            )
            .with_for_update()
        ),
    )
    if row is None:
        raise Superseded
    return row


def _say(conn: Connection, run: LockedRun, session_id: UUID, said: str, **values: Any) -> None:
    whole = {"tenant_id": run.tenant_id, "session_id": session_id, "channel": CHANNEL, "text": storable(said)[0]}
    conn.execute(insert(Message).values(id=new_id(), **whole, **values).on_conflict_do_nothing())


def _end(conn: Connection, session_id: UUID, state: CallState, result: str, *which: Any) -> None:
    conn.execute(
        update(Message)
        .where(Message.session_id == session_id, Message.tool_state == CallState.RUNNING, *which)
        .values(tool_state=state, text=storable(result)[0], ended_at=_NOW)
    )


def _responses(conn: Connection, invocation_id: UUID) -> tuple[str, ...]:
    rows = conn.scalars(
        select(ModelResponse.response)
        .where(ModelResponse.invocation_id == invocation_id)
        .order_by(ModelResponse.position)
    ).all()
    return tuple(rows)


def _ended_calls(conn: Connection, session_id: UUID) -> dict[str, FinishedCall]:
    rows = conn.execute(
        select(Message.tool_key, Message.tool_state, Message.text).where(
            Message.session_id == session_id, Message.tool_key.is_not(None)
        )
    )
    return {str(key): FinishedCall(CallState(str(state)), result) for key, state, result in rows}
