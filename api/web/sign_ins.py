"""Lists who is signed in, and ends sessions."""

from __future__ import annotations

from flask import Response, g
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.session import session_token
from scheduler.domain.errors import NotFound
from scheduler.storage.audit import record_event
from scheduler.storage.web_sessions import ShownSession, end_shown, list_sessions

MAX_SHOWN = 200

sign_ins = page_blueprint("sign_ins")


@sign_ins.get("/settings/sign-ins")
@needs(Level.READ)
def show_sign_ins() -> Response:
    """The sessions that the caller may end: an admin those of the tenant, an operator all, anyone else their own."""
    with services().db.begin() as conn:
        found = list_sessions(conn, g.signed_in, session_token(), everyone=_everyone(), limit=MAX_SHOWN)
    return render("sign_ins.html", sessions=found)


@sign_ins.post("/settings/sign-ins/<session_id>/end")
@needs(Level.READ)
def end(session_id: str) -> Response:
    """End one of them, at once."""
    who = caller()
    with services().db.begin() as conn:
        ended = may_end(conn, session_id)
        end_shown(conn, ended)
        record_event(
            conn, action="session.ended", tenant_id=ended.tenant_id, subject_id=ended.owner_id, actor=who.actor
        )
    return done("/settings/sign-ins", f"The session of {ended.name} has ended.")


def may_end(conn: Connection, session_id: str) -> ShownSession:
    """The session of that id; raises NotFound where the caller may not end it, as if it were not there."""
    found = list_sessions(conn, g.signed_in, session_token(), everyone=_everyone(), limit=MAX_SHOWN)
    shown = next((each for each in found if each.id == session_id), None)
    if shown is None:
        raise NotFound("There is no such session; it may have ended.")
    return shown


def _everyone() -> bool:
    return caller().level >= Level.ADMIN
