"""Messages and their sessions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Caller, Level, caller, needs
from api.body import read_traceparent
from api.idempotency import keyed_request
from api.resources.base import CHANGES, answer, blueprint, one_more, page
from api.schemas.messages import (
    MessageIn,
    MessagePage,
    MessagePath,
    MessageQuery,
    MessageWhole,
    ReceivedOut,
    SenderIn,
    SessionPage,
    SessionPath,
    SessionQuery,
)
from api.services import services
from scheduler.domain.errors import InvalidField, NotFound
from scheduler.intake.messages.intake import NewMessage, fire_matching, receive_message
from scheduler.metrics import INTAKE_DURATION
from scheduler.storage.idempotency import answered_before, keep_answer
from scheduler.storage.references import find_agent, find_user
from scheduler.storage.sessions import (
    MessageFilter,
    SessionFilter,
    get_message,
    get_session,
    involves_agent,
    list_messages,
    list_sessions,
)
from scheduler.storage.traces import keep_traceparents

messages = blueprint("messages", "Messages of people and agents to agents; on_message triggers listen for them.")


@messages.post("/messages", responses={201: ReceivedOut, 200: ReceivedOut, **CHANGES})
@needs(Level.WRITE, own=True)
def send_message(body: MessageIn) -> Response:
    """Send a message to an agent; triggers that listen for it fire at once.

    200 when its event_id or Idempotency-Key was used before.
    """
    who = caller()
    with INTAKE_DURATION.labels("message").time(), services().db.begin() as conn:
        user_id, agent_id = _sender(conn, who, body.sender)
        receiver = find_agent(conn, who.tenant_id, "to_agent_id", str(body.to_agent_id))
        request = keyed_request(f"message:{receiver}", body.model_dump(mode="json"))
        before = answered_before(conn, request)
        if before is not None:
            return answer(ReceivedOut.model_validate_json(json.dumps(before | {"duplicate": True})))
        received = receive_message(
            conn,
            NewMessage(
                tenant_id=who.tenant_id,
                to_agent_id=receiver,
                channel=body.channel or ("web" if agent_id is None else "agent"),
                text=body.text,
                session_id=_session(conn, who, body.session_id),
                event_id=body.event_id,
                from_user_id=user_id,
                from_agent_id=agent_id,
            ),
        )
        shown = ReceivedOut(
            id=received.message_id,
            session_id=received.session_id,
            duplicate=received.duplicate,
            firing_ids=received.firing_ids,
        )
        _keep_traceparent(conn, shown.firing_ids)
        keep_answer(conn, request, shown.model_dump(mode="json"))
    if received.undecided:
        shown.firing_ids[:] = fire_matching(services().db, received).firing_ids
        with services().db.begin() as conn:
            _keep_traceparent(conn, shown.firing_ids)
            keep_answer(conn, request, shown.model_dump(mode="json"))
    if received.duplicate:
        return answer(shown)
    return answer(shown, 201, location=f"/messages/{received.message_id}")


@messages.get("/messages/<message_id>", responses={200: MessageWhole})
@needs(Level.READ, own=True)
def show_message(path: MessagePath) -> Response:
    """Show a message with its whole text. An agent sees what it sent, received, and was woken by."""
    who = caller()
    with services().db.begin() as conn:
        row = get_message(conn, who.tenant_id, path.message_id)
        if who.agent_id is not None and not involves_agent(conn, row, who.agent_id):
            raise NotFound(f"There is no message '{path.message_id}'.")
    return answer(MessageWhole.model_validate(row))


@messages.get("/sessions", responses={200: SessionPage})
@needs(Level.READ, own=True)
def show_sessions(query: SessionQuery) -> Response:
    """List sessions, newest first."""
    who = caller()
    wanted = SessionFilter(who.narrow(query.agent_id), query.user_id, query.channel, query.span)
    with services().db.begin() as conn:
        return page(SessionPage, list_sessions(conn, who.tenant_id, wanted, **one_more(query)), query)


@messages.get("/sessions/<session_id>/messages", responses={200: MessagePage})
@needs(Level.READ, own=True)
def show_session_messages(path: SessionPath, query: MessageQuery) -> Response:
    """List a session's messages, newest first, each cut at 2,000 characters."""
    who = caller()
    with services().db.begin() as conn:
        session = get_session(conn, who.tenant_id, path.session_id)
        if who.agent_id not in (None, session.agent_id, session.peer_agent_id):
            raise NotFound(f"There is no session '{path.session_id}'.")
        wanted = MessageFilter(query.tool_state, query.span, query.text)
        return page(MessagePage, list_messages(conn, path.session_id, wanted, **one_more(query)), query)


def _keep_traceparent(conn: Connection, firing_ids: Sequence[UUID]) -> None:
    """Stores the trace context of the request for what it fired."""
    traceparent = read_traceparent()
    if traceparent is not None:
        keep_traceparents(conn, dict.fromkeys(firing_ids, traceparent))


def _sender(conn: Connection, who: Caller, sender: SenderIn | None) -> tuple[UUID | None, UUID | None]:
    """Returns the sending user or agent. An agent's key can only write as its agent."""
    if sender is None:
        if who.agent_id is None:
            raise InvalidField("from is missing: name the sender.", field="from")
        return None, who.agent_id
    if sender.type == "user" and who.agent_id is None:
        return find_user(conn, who.tenant_id, "from", sender.reference), None
    if sender.type == "user":
        raise InvalidField("An agent's key writes as its agent; omit from.", field="from")
    agent_id = find_agent(conn, who.tenant_id, "from", sender.reference)
    who.must_reach(agent_id, "agent", agent_id)
    return None, agent_id


def _session(conn: Connection, who: Caller, session_id: UUID | None) -> UUID | None:
    if session_id is not None:
        try:
            get_session(conn, who.tenant_id, session_id)
        except NotFound as error:
            raise InvalidField(error.message, field="session_id") from None
    return session_id
