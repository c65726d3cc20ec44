"""Sign-in with an API key or a password, sign-out, and an operator's choice of tenant."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from flask import Response, current_app, g, request
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.auth_failures import LIMITS, limit_wrong_keys, note_refusal
from api.server.responses import RunApart, has_moved, must_move
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.saved import KeptForm, keep_form, open_form
from api.web.limits import SignInLimit
from api.web.session import (
    COOKIE,
    FORM_COOKIE,
    check_csrf,
    csrf_token,
    local_path,
    remember,
    session_token,
    set_cookie,
)
from api.web.zones import CHOSEN
from scheduler.domain.errors import InvalidField, NotFound, ReveilleError, Unauthorized
from scheduler.domain.ids import new_token, parse_id
from scheduler.domain.passwords import is_password
from scheduler.storage.audit import record_event
from scheduler.storage.keys import find_key
from scheduler.storage.tenants import DEFAULT_TENANT, get_tenant, list_tenants
from scheduler.storage.web_sessions import choose_tenant, end_session, find_session, find_user, start_session
from scheduler.triggers.zones import load_zone

ZONE_LIFE = 31_536_000
"""How many seconds a browser remembers the chosen zone."""
MAX_TENANTS = 200
"""How many tenants an operator can choose by name; others are chosen by id."""
WRONG = "Unknown key, or wrong name or password."
AGENTS_KEY = "This key belongs to a single agent. Sign in with a read, write or admin key."

sign_in = page_blueprint("sign_in", public=True)
signed_in = page_blueprint("signed_in")


@sign_in.get("/sign-in")
def ask() -> Response:
    """Shows the form unless the visitor is already signed in."""
    target = local_path(request.args.get("next"))
    with services().db.begin() as conn:
        if session_token() and find_session(conn, session_token()) is not None:
            return done(target)
    return _form(target)


@sign_in.post("/sign-in/go-on")
def ask_in_a_form() -> Response:
    """Shows the sign-in form to somebody signed out while filling in another form, which is kept in it."""
    return _form("/", kept=keep_form())


@sign_in.post("/sign-in")
def enter() -> Response:
    """Checks the key or the password and starts a session."""
    check_csrf(request.cookies.get(FORM_COOKIE, ""))
    target, kept = local_path(request.form.get("next")), request.form.get("kept", "")
    key, name = request.form.get("key", "").strip(), request.form.get("name", "").strip()
    try:
        token = _start_by_key(key) if key else _start_by_password(name, request.form.get("password", ""))
    except ReveilleError as error:
        return _form(target, error, name, kept)
    if token is None:
        return RunApart()
    again = open_form(kept)
    response = done(target) if again is None else _ask_to_go_on(again, token)
    remember(response, token)
    response.delete_cookie(FORM_COOKIE, path="/")
    return response


@signed_in.post("/sign-out")
@needs(Level.READ)
def leave() -> Response:
    """Ends the session."""
    who = caller()
    with services().db.begin() as conn:
        end_session(conn, session_token())
        _audit(conn, g.signed_in.own_tenant_id, g.signed_in.id, who.actor, "ended")
    response = done("/sign-in")
    response.delete_cookie(COOKIE, path="/")
    return response


@signed_in.post("/zone")
@needs(Level.READ)
def choose_zone() -> Response:
    """Shows times in another zone from now on, in this browser."""
    zone = request.form.get("zone", "")
    response = done(local_path(request.form.get("next")))
    set_cookie(response, CHOSEN, load_zone(zone).key, max_age=ZONE_LIFE)
    return response


@signed_in.get("/tenant")
@needs(Level.READ)
def show_tenants() -> Response:
    """Lists the tenants that an operator may view."""
    if not caller().is_operator:
        return done("/")
    with services().db.begin() as conn:
        tenants = list_tenants(conn, limit=MAX_TENANTS)
    return render("tenant.html", tenants=tenants)


@signed_in.post("/tenant")
@needs(Level.READ)
def change_tenant() -> Response:
    """Switches to another tenant, which only an operator can; for others there is none: 404."""
    tenant_id = parse_id(request.form.get("tenant_id", "").strip()[:100], "tenant")
    who = caller()
    with services().db.begin() as conn:
        if not who.is_operator and tenant_id != who.tenant_id:
            raise NotFound(f"There is no tenant '{tenant_id}'.")
        tenant = get_tenant(conn, tenant_id)
        choose_tenant(conn, session_token(), tenant_id)
    return done("/", f"Switched to {tenant.name}.")


def _start_by_password(name: str, password: str) -> str | None:
    """Returns the token of a new session; None when the request must move first, as hashing is heavy work."""
    if not name or not password:
        raise InvalidField("Enter an API key, or a name and a password.")
    limit, address = _limit(), request.remote_addr or ""
    if not has_moved():
        limit.reserve(name, address, services().clock.monotonic())
        if must_move():
            return None
    wrong = False
    try:
        return _start_if_right(name, password)
    except Unauthorized:
        wrong = True
        note_refusal("session.refused", name=name)
        raise
    finally:
        limit.settle(name, address, wrong=wrong)


def _start_if_right(name: str, password: str) -> str:
    with services().db.begin() as conn:
        user = find_user(conn, name)
    # No connection is held during the deliberately slow check of the password.
    if not is_password(password, user.password_hash if user else None) or user is None:
        raise Unauthorized(WRONG)
    with services().db.begin() as conn:
        _audit(conn, user.tenant_id, user.id, f"user:{name}")
        return start_session(conn, user.tenant_id or DEFAULT_TENANT, user_id=user.id)


def _start_by_key(key: str) -> str:
    with services().db.begin() as conn:
        row = find_key(conn, key)
    if row is None:
        note_refusal("session.refused")
        limit_wrong_keys()
        raise Unauthorized(WRONG)
    with services().db.begin() as conn:
        if row.scopes[0].startswith("agent:"):
            raise InvalidField(AGENTS_KEY, field="key")
        _audit(conn, row.tenant_id, row.id, f"key:{row.name}")
        return start_session(conn, row.tenant_id or DEFAULT_TENANT, key_id=row.id)


def _limit() -> SignInLimit:
    return cast("SignInLimit", current_app.extensions[LIMITS])


def _audit(conn: Connection, tenant_id: UUID | None, who: UUID, actor: str, verb: str = "started") -> None:
    address = request.remote_addr or ""
    record_event(conn, action=f"session.{verb}", tenant_id=tenant_id, subject_id=who, actor=actor, address=address)


def _ask_to_go_on(kept: KeptForm, token: str) -> Response:
    """Shows the page after a sign-in in the middle of a form: one press returns to it with its values."""
    return render("continue.html", kept=kept, again=kept.sealed_for(token), csrf=csrf_token(token))


def _form(target: str, error: ReveilleError | None = None, name: str = "", kept: str = "") -> Response:
    secret = request.cookies.get(FORM_COOKIE) or new_token()
    status = error.status if error else 200
    shown = {"target": target, "error": error, "name": name, "form_csrf": csrf_token(secret), "kept": kept}
    response = render("sign_in.html", status, **shown)
    set_cookie(response, FORM_COOKIE, secret)
    return response
