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
    value: Any = Field(None, description="What is at the path: one node's value, or the list of several.")
    value_cut: bool = Field(
        description="The value is long: its JSON's first 64 Ki characters are shown, as a text."
    )
    as_sent: str | None = Field(
        None,
        description="The value's JSON as it was sent, where `value` cannot tell all of it (`10.00`, `1e400`).",
    )
    would_fire: bool
    error: str | None = Field(
        description="Why it failed, that the path selects nothing, or that a key occurs twice."
    )


class PollOut(Answer):
    """The state that a poll keeps between checks."""

    checked_at: Time | None
    failures: int = Field(description="In a row, up to now.")
    first_failure_at: Time | None
    note: str | None = Field(description="What there is to say of the last look; null when all is well.")
    is_seen: bool = Field(description="Whether a value, or nothing, was seen since the config was last changed.")
    value: Any = Field(
        None, description="The value that the next look is compared with; null, and a note, if nothing was there."
    )
    value_cut: bool
    as_sent: str | None = Field(
        None,
        description="The value's JSON as it was sent, where `value` cannot tell all of it (`10.00`, `1e400`).",
    )
