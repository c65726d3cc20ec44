"""Lists sign-in sessions and ends them."""

from __future__ import annotations

from dataclasses import replace

from flask import Response
from sqlalchemy import Connection

from api.auth import Caller, Level, caller, needs
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.list_filters import FROM, TO, Filter, RequestFilters, choice, read_filters
from api.web.session import session_token
from scheduler.domain.errors import NotFound
from scheduler.storage.audit import record_event
from scheduler.storage.web_sessions import ListedSession, SignInFilter, SignInScope, end_shown, list_sessions

MAX_SHOWN = 200
KINDS = {"user": "password", "key": "API key"}
FILTERS = (
    Filter("q", "Search", hint="Part of the name."),
    choice("kind", "Signed in by", KINDS),
    replace(FROM, label="Signed in from"),
    replace(TO, label="Signed in to"),
)

sign_ins = page_blueprint("sign_ins")


@sign_ins.get("/settings/sign-ins")
@needs(Level.READ)
def show_sign_ins() -> Response:
    """Lists the sessions that the caller may end: an admin the tenant's, an operator all, others their own."""
    with services().db.begin() as conn:
        asked = read_filters(conn, caller().tenant_id, FILTERS)
        found = [] if asked.errors else _find(conn, wanted_sign_ins(asked), MAX_SHOWN + 1)
    is_cut = len(found) > MAX_SHOWN
    return render("sign_ins.html", asked.status, sessions=found[:MAX_SHOWN], is_cut=is_cut, asked=asked)


@sign_ins.post("/settings/sign-ins/<session_id>/end")
@needs(Level.READ)
def end(session_id: str) -> Response:
    """Ends a session at once."""
    who = caller()
    with services().db.begin() as conn:
        ended = endable_session(conn, session_id)
        end_shown(conn, ended)
        record_event(
            conn, action="session.ended", tenant_id=ended.tenant_id, subject_id=ended.owner_id, actor=who.actor
        )
    return done("/settings/sign-ins", f"The session of {ended.name} has ended.")


def endable_session(conn: Connection, session_id: str) -> ListedSession:
    """Returns the session with that id; raises NotFound when the caller may not end it, as if it did not exist."""
    found = _find(conn, SignInFilter(id=session_id), 1)
    if not found:
        raise NotFound("There is no such session; it may have ended.")
    return found[0]


def wanted_sign_ins(asked: RequestFilters) -> SignInFilter:
    """Returns the filter of sessions."""
    return SignInFilter(asked.get("q"), asked.get("kind"), asked.span)


def sign_in_scope(who: Caller) -> SignInScope:
    """Returns whose sessions the caller may see and end."""
    if who.level < Level.ADMIN:
        return SignInScope(owner_id=who.key_id)
    return SignInScope(tenant_id=None if who.is_operator else who.tenant_id)


def _find(conn: Connection, wanted: SignInFilter, limit: int) -> list[ListedSession]:
    return list_sessions(conn, wanted, sign_in_scope(caller()), session_token(), limit=limit)
