"""Shared parts of every page: blueprint, rendering, paging of lists, errors.

A page's module creates its blueprint with `page_blueprint`, declares each view's access with `api.auth.needs`, and
is listed in `api/web/__init__.py`. A view that changes something responds with `done`, so that a reload repeats
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode
from uuid import UUID

from flask import Blueprint, Response, g, render_template, request
from loguru import logger
from werkzeug.exceptions import HTTPException

from api.auth import Level
from api.body import check_form
from api.hosts import check_origin
from api.problems import RETRY_AFTER_OUTAGE, http_problem
from api.web.forms.saved import reopen_form
from api.web.nav import Frame, frame_of, sections
from api.web.session import authenticate, csrf_token, recognize, session_token, set_cookie
from api.web.zones import choices, shown_zone
from scheduler.domain.errors import DatabaseUnavailable, ReveilleError
from scheduler.domain.ids import parse_id

PREFIX = "web_"
"""The prefix of our blueprints' names."""
NOTICE_COOKIE = "reveille_notice"
PAGE_SIZE = 50
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""No inline script or style, nothing from other sites: untrusted content can be shown, but not run."""

RowT = TypeVar("RowT")


def page_blueprint(name: str, *, public: bool = False) -> Blueprint:
    """Creates a blueprint of pages; unless `public`, visitors who are not signed in are sent to the sign-in page."""
    made = Blueprint(f"{PREFIX}{name}", __name__)
    made.before_request(check_form)
    made.before_request(check_origin)
    if not public:
        made.before_request(authenticate)
        made.before_request(reopen_form)
    made.register_error_handler(ReveilleError, show_error)
    made.register_error_handler(HTTPException, _show_http_error)
    made.register_error_handler(Exception, _show_unforeseen)
    made.after_request(secure)
    return made


def secure(response: Response) -> Response:
    """Sets the security headers of our pages."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def render(template: str, status: int = 200, **values: Any) -> Response:
    """Renders a page. Besides `values` templates get `me` (the caller), `zone`, `nav`, `notice` and `form_token`."""
    notice = unquote(request.cookies.get(NOTICE_COOKIE, ""))[:500]
    signed_in = g.get("signed_in")
    body = render_template(
        template,
        me=g.get("caller"),
        signed_in=signed_in,
        zone=shown_zone(),
        zones=choices(getattr(values.get("trigger"), "timezone", None)) if signed_in else [],
        here=request.full_path.rstrip("?") if request.method == "GET" else request.path,
        nav=sections(g.caller) if signed_in else [],
        frame=frame_of(g.caller) if signed_in else Frame({}, {}),
        notice=notice,
        form_token=csrf_token(session_token()),
        Level=Level,
        **values,
    )
    response = Response(body, status, content_type="text/html; charset=utf-8")
    if notice:
        response.delete_cookie(NOTICE_COOKIE, path="/")
    return response


def done(path: str, notice: str = "") -> Response:
    """Redirects to `path`, which shows `notice` once."""
    response = Response(status=HTTPStatus.SEE_OTHER, headers={"Location": path})
    if notice:
        set_cookie(response, NOTICE_COOKIE, quote(notice[:300]), max_age=60)
    return response


@dataclass(frozen=True, slots=True)
class Paged(Sequence[RowT]):
    """The rows of one page of a list, and the addresses of the next page and the first one."""

    rows: Sequence[RowT]
    older: str | None
    newest: str | None

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)


def paged(fetch: Callable[..., Sequence[RowT]], size: int = PAGE_SIZE) -> Paged[RowT]:
    """Returns the page requested by `?after=ID`.

    `fetch(limit=, after=)` returns rows with an `id`, newest first; other parameters stay in the links. An invalid
    `after` gives 404.
    """
    given = request.args.get("after")
    after = parse_id(given, "page") if given else None
    rows = fetch(limit=size + 1, after=after)
    shown = rows[:size]
    last: Any = shown[-1] if len(rows) > size else None
    older = None if last is None else _here(after=str(last.id))
    return Paged(shown, older, _here(after=None) if after else None)


def uuid_arg(name: str) -> UUID | None:
    """Returns an id from the query: None when missing; raises NotFound when invalid."""
    given = request.args.get(name, "").strip()
    return parse_id(given, name.removesuffix("_id")) if given else None


def wants_json() -> bool:
    """Whether the request is from our script, which shows progress, rather than from the browser."""
    return request.headers.get("Reveille-Fragment") == "json"


def _here(**changed: str | None) -> str:
    values = {name: value for name, value in request.args.items() if value} | changed
    query = urlencode({name: value for name, value in values.items() if value is not None})
    return f"{request.path}?{query}" if query else request.path


def show_error(error: ReveilleError) -> Response:
    """Shows an error as a page, or as one line of text for our scripts."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, DatabaseUnavailable):
        logger.opt(exception=error).error("a page failed: {}", error.message)
    page = _error_page(error.status, error.message)
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        page.headers["Retry-After"] = str(RETRY_AFTER_OUTAGE)
    return page


def _show_http_error(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    return _error_page(error.code, error.description or "")


def _show_unforeseen(error: Exception) -> Response:
    logger.opt(exception=error).error("a page failed unexpectedly")
    return _error_page(500, "Something went wrong. The server's log has the details.")


def _error_page(status: int, message: str) -> Response:
    if request.headers.get("Reveille-Fragment"):
        return Response(message, status, content_type="text/plain; charset=utf-8")
    title = "Page not found" if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase
    return render("error.html", status, title=title, message=message)


def show_unknown(error: HTTPException) -> Response | HTTPException:
    """Answers an unknown address: with a page for a browser, with a problem for any other client."""
    recognize()
    of_a_page = (request.blueprint or "").startswith(PREFIX)
    wants_page = request.blueprint is None and "text/html" in request.headers.get("Accept", "")
    if of_a_page or (wants_page and not request.path.startswith("/api/")):
        shown = _show_http_error(error)
        return secure(shown) if isinstance(shown, Response) else shown
    return http_problem(error)
