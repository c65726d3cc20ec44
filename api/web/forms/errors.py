"""Formats the errors of a form, each for its input."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import ValidationError

from api.web.forms.fields import Input

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
