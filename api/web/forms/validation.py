"""Validates forms with the API's shapes, so that pages and API have the same rules, and words errors for inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import ValidationError

from api.web.forms.fields import Input, same_lines
from scheduler.domain.errors import ReveilleError
from scheduler.domain.field_errors import InvalidRequest, field_errors
from scheduler.domain.shapes import Shape

ShapeT = TypeVar("ShapeT", bound=Shape)
WORDS = {
    "missing": "Enter a value.",
    "string_too_short": "Enter a value.",
    "string_too_long": "At most {max_length} characters.",
    "too_short": "At least {min_length} lines.",
    "too_long": "At most {max_length} lines.",
    "greater_than_equal": "{ge} or more.",
    "greater_than": "More than {gt}.",
    "less_than_equal": "{le} or less.",
    "less_than": "Less than {lt}.",
    "float_type": "Enter a number.",
    "int_type": "Enter a whole number.",
    "int_from_float": "Enter a whole number.",
    "literal_error": "Choose one of {expected}.",
    "string_type": "Enter a text.",
}
"""Pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/) in words for a form."""


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


def errors_in_words(error: ValidationError, prefix: str, inputs: Iterable[Input]) -> dict[str, str]:
    """Returns the first message for each input; those of no input are under `""`."""
    names = [each.name for each in inputs]
    said: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        path = prefix + ".".join(str(part) for part in each["loc"])
        said.setdefault(of_input(path.rstrip("."), names), _in_words(each))
    return said


def of_input(path: str, names: Collection[str]) -> str:
    """Returns the input at `path`, the one that contains it, or the first one inside it; `""` when there is none."""
    if path in names:
        return path
    for name in names:
        if path.startswith(f"{name}.") or (path not in ("", "config") and name.startswith(f"{path}.")):
            return name
    return ""


def _in_words(error: Any) -> str:
    known = WORDS.get(error["type"])
    if known is not None:
        return known.format(**error.get("ctx", {}))
    text = str(error["msg"]).removeprefix("Value error, ").strip()
    return text[:1].upper() + text[1:].rstrip(".") + "."
