"""Reads and creates sessions and their messages, newest first, with keyset pagination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, text, union_all
from sqlalchemy.dialects.postgresql import insert

from scheduler.domain.errors import NotFound
from scheduler.domain.ids import new_id
from scheduler.storage.read_models.spans import EVER, Span, within
from scheduler.storage.rows import one_as, row_as, rows_as
from scheduler.storage.tables.messages import Message, Session
from scheduler.storage.transcripts import SYSTEM

SESSIONS = Session.__table__
SHOWN_TEXT = 2_000
"""The maximum characters of a message in a list."""
SHOWN_TRANSCRIPT = 200
"""The most messages of a run that are shown with it."""

_LONG = ("text", "tool_arguments")
_ROLE = case(
    (Message.tool_name.is_not(None), "tool_call"),
    (and_(Message.from_type == "agent", Message.to_agent_id.is_(None)), "assistant"),
    (and_(Message.from_type == SYSTEM, Message.to_agent_id.is_(None)), "note"),
    else_="user",
).label("role")
_COLUMNS: tuple[Any, ...] = (
    *(column for column in Message.__table__.columns if column.name not in _LONG),
    _ROLE,
    func.length(Message.text).label("length"),
)
_LISTED: tuple[Any, ...] = (
    *_COLUMNS,
    *(func.left(getattr(Message, name), SHOWN_TEXT).label(name) for name in _LONG),
)
_WHOLE: tuple[Any, ...] = (*_COLUMNS, *(getattr(Message, name) for name in _LONG))

WAS_TOLD = text("""
    SELECT EXISTS (
        SELECT FROM triggers t JOIN firings f ON f.trigger_id = t.id AND f.occurrence_key = :key
        WHERE t.agent_id = :agent_id
    )
""")


@dataclass(frozen=True, slots=True)
class Talk:
    """Identifies a conversation: an agent with a user or another agent, on a channel, in one of its threads."""

    agent_id: UUID
    channel: str
    thread: str = ""
    user_id: UUID | None = None
    peer_agent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Filters a tenant's sessions. `agent_id` matches either side of a session between agents."""

    agent_id: UUID | None = None
    user_id: UUID | None = None
    channel: str | None = None
    span: Span = EVER


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Filters a session's messages. `tool_state` selects tool calls; `text` matches part of the text."""

    tool_state: str | None = None
    span: Span = EVER
    text: str | None = None


EVERY_MESSAGE = MessageFilter()


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message with its role and the length of its whole text; in lists the text is shortened."""

    id: UUID
    tenant_id: UUID
    session_id: UUID
    from_type: str
    from_id: UUID
    to_agent_id: UUID | None
    channel: str
    text: str
    event_id: str | None
    root_id: UUID | None
    depth: int
    refused_for: list[str]
    tool_key: str | None
    tool_name: str | None
    tool_arguments: str | None
    tool_state: str | None
    ended_at: datetime | None
    created_at: datetime
    role: str
    length: int


def open_session(conn: Connection, tenant_id: UUID, talk: Talk) -> Session:
    """Returns the session of this conversation, creating it if needed. Two agents share one, whoever started it."""
    found = row_as(Session, conn.execute(_sessions_of(tenant_id, talk)))
    if found is not None:
        return found
    values = {name: getattr(talk, name) for name in Talk.__dataclass_fields__}
    conn.execute(insert(Session).values(id=new_id(), tenant_id=tenant_id, **values).on_conflict_do_nothing())
    return one_as(Session, conn.execute(_sessions_of(tenant_id, talk)))


def get_session(conn: Connection, tenant_id: UUID, session_id: UUID) -> Session:
    """Returns a tenant's session; raises NotFound."""
    row = row_as(
        Session, conn.execute(select(SESSIONS).where(Session.id == session_id, Session.tenant_id == tenant_id))
    )
    if row is None:
        raise NotFound(f"There is no session '{session_id}'.")
    return row


def list_sessions(
    conn: Connection, tenant_id: UUID, wanted: SessionFilter, *, limit: int, after: UUID | None = None
) -> Sequence[Session]:
    """Lists up to `limit` of a tenant's sessions, older than `after`."""
    query = select(SESSIONS).where(Session.tenant_id == tenant_id)
    if wanted.user_id is not None:
        query = query.where(Session.user_id == wanted.user_id)
    if wanted.channel is not None:
        query = query.where(Session.channel == wanted.channel)
    query = within(query, wanted.span, Session.created_at, Session.id)
    if after is not None:
        query = query.where(Session.id < after)
    newest = query.order_by(Session.id.desc()).limit(limit)
    if wanted.agent_id is None:
        return rows_as(Session, conn.execute(newest))
    # Each side uses its own index. A reflection has one side, and no other session has the same agent on both.
    sides = (Session.agent_id, Session.peer_agent_id)
    either = union_all(*[select(newest.where(side == wanted.agent_id).subquery()) for side in sides]).subquery()
    return rows_as(Session, conn.execute(select(either).order_by(either.c.id.desc()).limit(limit)))


def list_messages(
    conn: Connection,
    session_id: UUID,
    wanted: MessageFilter = EVERY_MESSAGE,
    *,
    limit: int,
    after: UUID | None = None,
) -> Sequence[MessageRow]:
    """Lists up to `limit` messages of a session with shortened texts, older than `after`."""
    query = select(*_LISTED).where(Message.session_id == session_id)
    query = within(query, wanted.span, Message.created_at, Message.id)
    if wanted.tool_state is not None:
        query = query.where(Message.tool_state == wanted.tool_state)
    if wanted.text is not None:
        query = query.where(Message.text.icontains(wanted.text, autoescape=True))
    if after is not None:
        query = query.where(Message.id < after)
    return rows_as(MessageRow, conn.execute(query.order_by(Message.id.desc()).limit(limit)))


def read_transcript(conn: Connection, session_id: UUID) -> Sequence[MessageRow]:
    """Reads the messages of a run in order with shortened texts, up to SHOWN_TRANSCRIPT."""
    query = select(*_LISTED).where(Message.session_id == session_id)
    return rows_as(MessageRow, conn.execute(query.order_by(Message.id).limit(SHOWN_TRANSCRIPT)))


def get_message(conn: Connection, tenant_id: UUID, message_id: UUID) -> MessageRow:
    """Returns a tenant's message in full; raises NotFound."""
    row = row_as(
        MessageRow, conn.execute(select(*_WHOLE).where(Message.id == message_id, Message.tenant_id == tenant_id))
    )
    if row is None:
        raise NotFound(f"There is no message '{message_id}'.")
    return row


def involves_agent(conn: Connection, message: MessageRow, agent_id: UUID) -> bool:
    """Whether an agent sent a message, received it, or was woken by it."""
    if agent_id in (message.from_id, message.to_agent_id):
        return True
    session = conn.execute(select(Session.id).where(Session.id == message.session_id, _has_agent(agent_id)))
    if session.first() is not None:
        return True
    return bool(conn.scalar(WAS_TOLD, {"agent_id": agent_id, "key": f"message:{message.id}"}))


def _has_agent(agent_id: UUID) -> ColumnElement[bool]:
    return or_(Session.agent_id == agent_id, Session.peer_agent_id == agent_id)


def _sessions_of(tenant_id: UUID, talk: Talk) -> Any:
    sides = and_(Session.agent_id == talk.agent_id, Session.user_id == talk.user_id)
    if talk.peer_agent_id is not None:
        sides = or_(
            and_(Session.agent_id == talk.agent_id, Session.peer_agent_id == talk.peer_agent_id),
            and_(Session.agent_id == talk.peer_agent_id, Session.peer_agent_id == talk.agent_id),
        )
    return (
        select(SESSIONS)
        .where(
            sides,
            Session.tenant_id == tenant_id,
            Session.channel == talk.channel,
            Session.thread == talk.thread,
            Session.is_reflection.is_(False),
        )
        .order_by(Session.id)
        .limit(1)
    )
