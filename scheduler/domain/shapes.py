"""The base class of every input model."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A client's input: unknown fields are refused and nothing is coerced (`"enabled": 0` is refused)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)
