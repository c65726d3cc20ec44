"""The base classes of input models."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

MOST_NAMED = 40
"""How many fields a message lists."""


class NamesFields(BaseModel):
    """A model whose refusal of an unknown field says which fields there are."""

    @model_validator(mode="wrap")
    @classmethod
    def _name_fields(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not any(map(_is_unknown, errors)):
                raise
            known = [field.alias or name for name, field in cls.model_fields.items()]
            lines = [_line(each, known) for each in errors]
            raise ValidationError.from_exception_data(error.title, lines, hide_input=True) from None


class Shape(NamesFields):
    """A client's input: unknown fields are refused and nothing is coerced (`"enabled": 0` is refused)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


def _is_unknown(error: ErrorDetails) -> bool:
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 1


def _line(error: ErrorDetails, known: list[str]) -> InitErrorDetails:
    said = error["msg"]
    if _is_unknown(error):
        said = "There is no such field"
        near = get_close_matches(str(error["loc"][0])[:100].lower(), known, n=1)
        there = ", ".join(known[:MOST_NAMED]) + (", …" if len(known) > MOST_NAMED else "")
        said += f"; the nearest is {near[0]}" if near else f"; there are {there}" if known else "; there are none"
    kept = {**error.get("ctx", {}), "said": said}
    return {
        "type": PydanticCustomError(error["type"], "{said}", kept),
        "loc": error["loc"],
        "input": error["input"],
    }
