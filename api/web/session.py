"""Sessions of the web UI, kept on the server; the cookie holds a random token, of which only the hash is stored.

Every form carries a CSRF token (the synchronizer pattern) derived from the session's token and the server's key,
which no other site can know. The cookie is HttpOnly and SameSite=Lax: a link from a chat opens a page signed in,
while another site's form sends no cookie at all.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from urllib.parse import quote, urlsplit

from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from api.auth import Caller, access_of, reach
from api.services import services
from scheduler.domain.errors import DatabaseUnavailable, Forbidden, Unauthorized
from scheduler.storage.web_sessions import LIFETIME, SessionOwner, find_session

COOKIE = "reveille_session"
FORM_COOKIE = "reveille_form"
"""Holds a random token before sign-in, so that the sign-in form has its own CSRF token too."""
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def authenticate() -> AnyResponse | None:
    """Authenticates this request; sends visitors who are not signed in to the sign-in page and back.

    Raises Unauthorized for a script's request, and Forbidden for insufficient scopes or a wrong CSRF token.
    """
    access = access_of(request.endpoint)
    token = session_token()
    with services().db.begin() as conn:
        signed_in = find_session(conn, token) if token else None
    if signed_in is None:
        return _ask_to_sign_in()
    g.caller = caller_of(signed_in)
    g.signed_in = signed_in
    check_csrf(token)
    if not g.caller.may(access):
        raise Forbidden(f"You do not have permission: this requires the scope {access.level.name.lower()}.")
    return None


def recognize() -> None:
    """Identifies the user on an unknown address, so that its page keeps the navigation."""
    token = session_token()
    if g.get("signed_in") is not None or not token or request.blueprint is not None:
        return
    try:
        with services().db.begin() as conn:
            signed_in = find_session(conn, token)
    except DatabaseUnavailable:
        return
    if signed_in is not None:
        g.signed_in, g.caller = signed_in, caller_of(signed_in)


def caller_of(signed_in: SessionOwner) -> Caller:
    """Returns the caller of a session."""
    is_operator = signed_in.own_tenant_id is None
    level, agent_id = reach(signed_in.scopes, is_operator=is_operator)
    return Caller(
        signed_in.id, signed_in.name, signed_in.tenant_id, level, is_operator, agent_id, kind=signed_in.kind
    )


def session_token() -> str:
    """Returns the token in the session's cookie; empty when there is none."""
    return request.cookies.get(COOKIE, "")[:200]


def csrf_token(secret: str) -> str:
    """Returns the token for the forms of the holder of the cookie `secret`."""
    key = services().settings.secret_key
    assert key is not None  # noqa: S101  # build_parts has checked it
    return hmac.new(key.get_secret_value().encode(), f"csrf:{secret}".encode(), sha256).hexdigest()


def check_csrf(secret: str) -> None:
    """Raises Forbidden unless a request that changes something carries the token for `secret`."""
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not secret or not hmac.compare_digest(given.encode(), csrf_token(secret).encode()):
        raise Forbidden("This form has expired or was not sent from here. Go back, reload the page and try again.")


def set_cookie(response: AnyResponse, name: str, value: str, *, max_age: float | None = None) -> None:
    """Sets a cookie that scripts cannot read and other sites' forms do not send."""
    seconds = None if max_age is None else int(max_age)
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="Lax", secure=_is_https(), path="/")


def remember(response: AnyResponse, token: str) -> None:
    """Sets the session's cookie."""
    set_cookie(response, COOKIE, token, max_age=LIFETIME.total_seconds())


def local_path(target: str | None) -> str:
    """Returns where to go after sign-in: `target` if it is a local path, else the home page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or not target.isprintable():
        return "/"
    split = urlsplit(target)
    return target if not split.scheme and not split.netloc else "/"


def _ask_to_sign_in() -> AnyResponse:
    if request.headers.get("Reveille-Fragment") or "text/event-stream" in request.headers.get("Accept", ""):
        raise Unauthorized("You have been signed out.")
    if request.method == "POST" and request.path != "/sign-out" and request.form:
        # 307 makes the browser resend the form, so that the sign-in page can keep it.
        return redirect(f"/sign-in/go-on?path={quote(request.path)}", 307, Response)
    target = request.full_path.rstrip("?") if request.method == "GET" else "/"
    query = "" if target == "/" else f"?next={quote(target, safe='/')}"
    response = redirect(f"/sign-in{query}", 303, Response)
    if session_token():
        response.delete_cookie(COOKIE)
    return response


def _is_https() -> bool:
    return request.is_secure or (services().settings.public_url or "").startswith("https:")
