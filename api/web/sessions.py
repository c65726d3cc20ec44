"""The pages of sessions: conversations of agents, and transcripts of their runs."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import page_blueprint, render
from api.web.list_filters import AGENT, FROM, TO, Filter, RequestFilters, choice, read_filters
from scheduler.domain.ids import parse_id
from scheduler.domain.llm import CallState
from scheduler.storage.read_models.overviews import agent_names, user_names
from scheduler.storage.sessions import (
    MessageFilter,
    SessionFilter,
    get_message,
    get_session,
    list_messages,
    list_sessions,
)

FILTERS = (AGENT, Filter("channel", "Channel"), FROM, TO)
OF_MESSAGES = (
    Filter("q", "Search", hint="Part of what was said."),
    choice("state", "Tool calls", [state.value for state in CallState]),
    FROM,
    TO,
)

sessions = page_blueprint("sessions")


@sessions.get("/sessions")
@needs(Level.READ)
def show_sessions() -> Response:
    """Lists sessions matching the filters, newest first."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = SessionFilter(asked.get("agent_id"), channel=asked.get("channel"), span=asked.span)
        page = asked.page(lambda **span: list_sessions(conn, who.tenant_id, wanted, **span))
        agents = {row.agent_id for row in page} | {row.peer_agent_id for row in page if row.peer_agent_id}
        names = agent_names(conn, who.tenant_id, agents) | user_names(
            conn, who.tenant_id, {row.user_id for row in page if row.user_id}
        )
    return render("sessions.html", asked.status, page=page, names=names, asked=asked)


@sessions.get("/sessions/<session_id>")
@needs(Level.READ)
def show_session(session_id: str) -> Response:
    """Shows a session: the newest messages in chronological order."""
    who = caller()
    with services().db.begin() as conn:
        session = get_session(conn, who.tenant_id, parse_id(session_id, "session"))
        asked = read_filters(conn, who.tenant_id, OF_MESSAGES)
        wanted = wanted_messages(asked)
        page = asked.page(lambda **span: list_messages(conn, session.id, wanted, **span))
        agents = [each for each in (session.agent_id, session.peer_agent_id) if each is not None]
        names = agent_names(conn, who.tenant_id, agents) | user_names(
            conn, who.tenant_id, {row.from_id for row in page if row.from_type == "user"}
        )
    return render(
        "session.html",
        asked.status,
        session=session,
        page=page,
        entries=list(reversed(page)),
        names=names,
        asked=asked,
    )


def wanted_messages(asked: RequestFilters) -> MessageFilter:
    """Returns the filter of a session's messages."""
    return MessageFilter(asked.get("state"), asked.span, asked.get("q"))


@sessions.get("/messages/<message_id>")
@needs(Level.READ)
def show_message(message_id: str) -> Response:
    """Shows a whole message, or a tool call with its whole result."""
    who = caller()
    with services().db.begin() as conn:
        message = get_message(conn, who.tenant_id, parse_id(message_id, "message"))
        names = agent_names(conn, who.tenant_id, [message.from_id]) | user_names(
            conn, who.tenant_id, [message.from_id]
        )
    return render("message.html", message=message, names=names)
