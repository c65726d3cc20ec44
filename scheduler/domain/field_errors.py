"""Describes the invalid fields of an input and why each is invalid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scheduler.domain.errors import InvalidField

MESSAGE_LENGTH = 500
"""The most characters of the input that a message repeats."""
MAX_ERRORS = 100
WORDS: Mapping[str, str] = {
    "missing": "It is missing",
    "extra_forbidden": "There is no such field",
    "greater_than": "It must be more than {gt}",
    "greater_than_equal": "It must be at least {ge}",
    "less_than": "It must be less than {lt}",
    "less_than_equal": "It must be at most {le}",
    "finite_number": "It must be a finite number",
    "multiple_of": "It must be a multiple of {multiple_of}",
    "int_type": "It must be a whole number",
    "int_parsing": "It must be a whole number",
    "int_from_float": "It must be a whole number",
    "float_type": "It must be a number",
    "float_parsing": "It must be a number",
    "bool_type": "It must be true or false",
    "bool_parsing": "It must be true or false",
    "string_type": "It must be a text",
    "string_too_short": "It must have at least {min_length:,} characters",
    "string_too_long": "It must have at most {max_length:,} characters",
    "string_pattern_mismatch": "It must match {pattern}",
    "literal_error": "It must be {expected}",
    "enum": "It must be {expected}",
    "list_type": "It must be a list",
    "tuple_type": "It must be a list",
    "too_short": "There must be at least {min_length:,}, not {actual_length}",
    "too_long": "There may be at most {max_length:,}, not {actual_length}",
    "dict_type": "It must be an object",
    "model_type": "It must be an object",
    "model_attributes_type": "It must be an object",
    "datetime_type": "It must be a time such as 2030-01-31T09:00:00Z",
    "datetime_parsing": "It must be a time such as 2030-01-31T09:00:00Z",
    "datetime_from_date_parsing": "It must be a time such as 2030-01-31T09:00:00Z",
    "none_required": "It must be null",
    "uuid_type": "It must be an id, not a name",
    "uuid_parsing": "It must be an id, not a name",
}
"""What a person is told of a broken rule, by pydantic's type of it (its own words speak of inputs and strings)."""
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


def message_of(error: ErrorDetails) -> str:
    """Returns what is wrong, for people, without a full stop."""
    context = {key: _plain(value) for key, value in error.get("ctx", {}).items()}
    if error["type"] == "extra_forbidden" and "said" in context:
        return str(context["said"])  # by NamesFields, with the fields that there are
    if context.get("min_length") == 1:
        return "It must not be empty"
    words = WORDS.get(error["type"])
    return words.format_map(context) if words else error["msg"].removeprefix("Value error, ")


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _field_error(error: ErrorDetails, prefix: tuple[str, ...]) -> FieldError:
    path = [*prefix, *(str(part) for part in error["loc"])]
    place = 2 if path[:1] == ["items"] else 0  # a list index
    if len(path) > place + 2 and path[place] in UNIONS:
        del path[place + 1]
    message = message_of(error)
    if error["type"].startswith("union_tag"):
        context = error.get("ctx", {})
        path.append(str(context["discriminator"]).strip("'"))
        message = (
            f"'{str(context['tag'])[:50]}' is not available here; use one of {context['expected_tags']}"
            if "tag" in context
            else WORDS["missing"]
        )
    return FieldError(field=".".join(path)[:MESSAGE_LENGTH], rule=error["type"], message=message[:MESSAGE_LENGTH])
