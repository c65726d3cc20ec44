"""Validates forms with the API's shapes, so that pages and API have the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flask import request
from pydantic import ValidationError

from api.web.forms.fields import same_lines
from scheduler.domain.errors import ReveilleError
from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.shapes import Shape

ShapeT = TypeVar("ShapeT", bound=Shape)


def shaped(shape: type[ShapeT], values: Mapping[str, object]) -> ShapeT:
    """Parses `values` as a `shape`, converting text to numbers as needed. Raises InvalidRequest."""
    try:
        return shape.model_validate(dict(values), strict=False)
    except ValidationError as error:
        raise InvalidRequest(field_errors(error)) from None


def filled(*names: str) -> dict[str, str]:
    """Returns the non-empty fields of the request's form, stripped."""
    given = {name: same_lines(request.form.get(name, "")).strip() for name in names}
    return {name: value for name, value in given.items() if value}


def wrong_fields(error: ReveilleError) -> dict[str, str]:
    """Returns the errors by field of a form; those of no field have the name "" ."""
    if isinstance(error, InvalidRequest):
        return {each.field.split(".")[-1]: each.message for each in reversed(error.errors)}
    return {(error.field or "").split(".")[-1]: error.message}
