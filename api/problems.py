"""Reports every error of the HTTP API as `application/problem+json` (RFC 9457), naming each invalid field."""

from __future__ import annotations

import math
from http import HTTPStatus

from flask import Flask, Response, current_app
from loguru import logger
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import ProgrammingError
from werkzeug.exceptions import HTTPException

from scheduler.domain.errors import DatabaseUnavailable, LimitReached, ReveilleError, Unauthorized
from scheduler.domain.field_errors import MESSAGE_LENGTH, FieldError, InvalidRequest, field_errors
from scheduler.manage.row_errors import ConflictingRows

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:reveille:problem:"
UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"
"""SQLSTATEs of a database that was not migrated."""
RETRY_AFTER_OUTAGE = 5
"""The seconds after which a client may retry when the database was unavailable."""


class Problem(BaseModel):
    """An error (RFC 9457). `field` is the first invalid field, `errors` holds all of them."""

    type: str = Field(description="The kind of problem; stable, unlike the texts.")
    title: str
    status: int
    detail: str
    field: str | None = None
    errors: list[FieldError] | None = None


class MalformedBody(ReveilleError):
    """The body is not valid JSON."""

    status = 400
    problem = "malformed-body"


class UnsupportedMediaType(ReveilleError):
    """The body must be JSON; send it with Content-Type: application/json."""

    status = 415
    problem = "unsupported-media-type"


def refuse_invalid(error: ValidationError) -> Response:
    """Handles a body, query or path of the wrong shape, for flask-openapi; raises InvalidRequest."""
    raise InvalidRequest(field_errors(error)) from None


def install(app: Flask) -> None:
    """Reports every error of `app` as a problem."""
    app.register_error_handler(ReveilleError, _our_error)
    app.register_error_handler(HTTPException, http_problem)
    app.register_error_handler(ProgrammingError, _statement_error)
    app.register_error_handler(Exception, _unforeseen)


def _our_error(error: ReveilleError) -> Response:
    if isinstance(error, DatabaseUnavailable):
        logger.warning("a request was refused: {}", error.message)
    elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.opt(exception=error).error("a request failed: {}", error.message)
    problem = Problem(
        type=TYPE_PREFIX + error.problem,
        title=(type(error).__doc__ or error.problem).strip().splitlines()[0].rstrip("."),
        status=error.status,
        detail=error.message[: 5 * MESSAGE_LENGTH],
        field=error.field,
        errors=list(error.errors) if isinstance(error, InvalidRequest | ConflictingRows) else None,
    )
    response = _answer(problem)
    if isinstance(error, Unauthorized):  # webhook senders have no API key to ask for
        response.headers["WWW-Authenticate"] = 'Bearer realm="reveille"'
    elif error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_OUTAGE)
    elif isinstance(error, LimitReached) and error.retry_after is not None:
        response.headers["Retry-After"] = str(max(math.ceil(error.retry_after), 1))
    return response


def http_problem(error: HTTPException) -> Response | HTTPException:
    """Reports Flask's own errors with their headers, such as Allow on 405 (RFC 9110 section 15.5.6)."""
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    response = _answer(
        Problem(
            type="about:blank",
            title=HTTPStatus(error.code).phrase,
            status=error.code,
            detail=error.description or HTTPStatus(error.code).phrase,
        )
    )
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _statement_error(error: ProgrammingError) -> Response:
    """Reports a database with tables of another version; any other refused statement is unexpected."""
    if getattr(error.orig, "sqlstate", None) in (UNDEFINED_TABLE, UNDEFINED_COLUMN):
        return _our_error(
            DatabaseUnavailable("The database schema is not at this version; run `reveille migrate`.")
        )
    return _unforeseen(error)


def _unforeseen(error: Exception) -> Response:
    logger.opt(exception=error).error("a request failed unexpectedly")
    return _answer(
        Problem(
            type="about:blank",
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=HTTPStatus.INTERNAL_SERVER_ERROR,
            detail="An unexpected error occurred; see the server's log.",
        )
    )


def _answer(problem: Problem) -> Response:
    body = current_app.json.dumps(problem.model_dump(exclude_none=True))
    return Response(body, problem.status, content_type=MEDIA_TYPE)
