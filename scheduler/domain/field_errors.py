"""Describes the invalid fields of an input and why each is invalid."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scheduler.domain.errors import InvalidField

MESSAGE_LENGTH = 500
"""The most characters of the input that a message repeats."""
MAX_ERRORS = 100
UNIONS = frozenset({"runtime"})
"""Fields whose shape depends on their `kind`; pydantic adds that kind to an error's path."""


class FieldError(BaseModel):
    """An invalid field: its dotted path, the rule it breaks, and a text for people."""

    field: str
    rule: str
    message: str


class InvalidRequest(InvalidField):
    """Fields of the request are not valid."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        shown = [f"{error.field}: {error.message}" if error.field else error.message for error in errors[:5]]
        told = "; ".join(text.rstrip(".") for text in shown)
        super().__init__(told if told.endswith("?") else f"{told}.", field=errors[0].field or None)
        self.errors = errors


def field_errors(error: ValidationError, prefix: tuple[str, ...] = ()) -> list[FieldError]:
    """Lists each invalid field of a failed validation, without its value, which may be secret."""
    return [
        _field_error(each, prefix) for each in error.errors(include_url=False, include_input=False)[:MAX_ERRORS]
    ]


def _field_error(error: ErrorDetails, prefix: tuple[str, ...]) -> FieldError:
    path = [*prefix, *(str(part) for part in error["loc"])]
    place = 2 if path[:1] == ["items"] else 0  # a list index
    if len(path) > place + 2 and path[place] in UNIONS:
        del path[place + 1]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"].startswith("uuid_"):
        message = "An id is expected here, not a name"
    if error["type"].startswith("union_tag"):
        context = error.get("ctx", {})
        path.append(str(context["discriminator"]).strip("'"))
        message = (
            f"'{str(context['tag'])[:50]}' is not available here; use one of {context['expected_tags']}"
            if "tag" in context
            else "Field required"
        )
    return FieldError(field=".".join(path)[:MESSAGE_LENGTH], rule=error["type"], message=message[:MESSAGE_LENGTH])
