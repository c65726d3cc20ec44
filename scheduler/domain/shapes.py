"""Base class of every input from outside."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """What a client sends: nothing unknown is accepted, nothing is coerced (`"enabled": 0` is refused)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)
