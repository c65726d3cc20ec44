"""Polls: the state of their last check, and trial checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.schemas.base import Answer, Time
from api.schemas.triggers import Config
from scheduler.domain.shapes import Shape


class TrialIn(Shape):
    """A trigger that checks something and need not exist."""

    type: str = Field("poll", description="`poll`, or another type that can be tried (`GET /trigger-types`).")
    config: Config


class TrialOut(Answer):
    """The result of a trial. Nothing was recorded."""

    status: Literal["found", "nothing_there", "failed"]
    value: Any = Field(None, description="The value at the path, or a list if the path can select several.")
    value_cut: bool = Field(
        description="The value is long: the first 64 Ki characters of its JSON are returned as text."
    )
    as_sent: str | None = Field(
        None,
        description="The value's original JSON, when `value` cannot represent it exactly (`10.00`, `1e400`).",
    )
    would_fire: bool
    error: str | None = Field(
        description="Why it failed, that the path selects nothing, or that a key occurs twice."
    )


class PollOut(Answer):
    """The state that a poll keeps between checks."""

    checked_at: Time | None
    failures: int = Field(description="The number of consecutive failures so far.")
    first_failure_at: Time | None
    note: str | None = Field(description="The result of the last check; null on success.")
    is_seen: bool = Field(description="Whether a value, or nothing, was found since the config last changed.")
    value: Any = Field(
        None,
        description="The value that the next check is compared with; null, with a note, if nothing was found.",
    )
    value_cut: bool
    as_sent: str | None = Field(
        None,
        description="The value's original JSON, when `value` cannot represent it exactly (`10.00`, `1e400`).",
    )
