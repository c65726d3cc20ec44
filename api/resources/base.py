"""Shared parts of all resources' views: blueprint, validation of bodies, paging, responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import Response, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.media_type import MediaType
from flask_openapi.models.request_body import RequestBody
from flask_openapi.models.tag import Tag
from pydantic import BaseModel
from werkzeug.routing import BaseConverter

from api.auth import access_of, authenticate
from api.body import read_json
from api.problems import MEDIA_TYPE, Problem
from api.schemas.base import Listed, Page
from scheduler.domain.shapes import Shape

PREFIX = "/api/v1"


PageT = TypeVar("PageT", bound=Listed[Any])


class ItemConverter(BaseConverter):
    """An id in a rule that has fixed siblings such as `preview`, which are not ids."""

    regex = r"(?!(?:preview|try|bulk|replay)/?$)[^/]+"


class ReferenceConverter(BaseConverter):
    """A free text in the middle of a path, which may contain slashes anywhere."""

    regex = r".+?"
    part_isolating = False


def problems(*statuses: int) -> dict[str | int, Any]:
    """Documents the error responses."""
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {status: {"content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses}


CHANGES = problems(400, 409, 413, 415)
"""The responses of views that change something, besides those of all views."""

EMPTY: dict[str, Any] = {"description": "Done."}


def optional_body(shape: type[Shape]) -> RequestBody:
    """Documents an optional body."""
    schema = {"$ref": f"#/components/schemas/{shape.__name__}"}
    return RequestBody(content={"application/json": MediaType.model_validate({"schema": schema})}, required=False)


def blueprint(name: str, description: str) -> APIBlueprint:
    """Creates a resource's blueprint: each of its views authenticates the caller, then validates the body."""
    made = APIBlueprint(
        name,
        name,
        url_prefix=PREFIX,
        abp_tags=[Tag(name=name, description=description)],
        abp_security=[{"key": []}],
        abp_responses=problems(401, 403, 404, 422, 503),
        operation_id_callback=_operation_id,
    )
    made.before_request(authenticate)
    made.before_request(_check_body)
    return made


def answer(shown: BaseModel, status: int = 200, *, location: str | None = None) -> Response:
    """Returns `shown` as JSON; `location` is the path below PREFIX of a new object (RFC 9110 section 10.2.2)."""
    response = Response(shown.model_dump_json(), status, content_type="application/json")
    if location is not None:
        response.headers["Location"] = PREFIX + location
    return response


def no_content() -> Response:
    """Returns 204: done, with nothing to show."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def one_more(query: Page) -> dict[str, Any]:
    """Returns the paging arguments of a list query: one extra row tells whether there is a next page."""
    return {"limit": query.limit + 1, "after": query.after}


def page(shape: type[PageT], rows: Sequence[Any], query: Page) -> Response:
    """Returns the page of `rows`, which were requested by `one_more`."""
    shown = rows[: query.limit]
    following = str(shown[-1].id) if len(rows) > query.limit else None
    return answer(shape.model_validate({"items": shown, "next": following}, from_attributes=True))


def given(body: Shape) -> dict[str, Any]:
    """Returns the fields that a PATCH contains; the others stay unchanged."""
    return {name: getattr(body, name) for name in body.model_fields_set}


def _operation_id(*, name: str, path: str, method: str) -> str:  # noqa: ARG001  # what flask-openapi passes
    return name


def _check_body() -> None:
    access = access_of(request.endpoint)
    if access.body:
        read_json(required=not access.optional_body)
