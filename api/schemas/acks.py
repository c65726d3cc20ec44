"""Acknowledgements of firings by agents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import Answer, Moment, Time
from scheduler.domain.shapes import Shape


class AckIn(Shape):
    """The outcome of a firing. `until` is given only with `deferred`."""

    status: Literal["handled", "deferred", "ignored"]
    until: Moment | None = Field(None, description="When it comes back: from one minute to a year from now.")


class AckedOut(Answer):
    """The result of one acknowledgement; `error` says why it had no effect."""

    firing_id: str
    status: str | None
    until: Time | None
    error: str | None


class AckCounts(Answer):
    """Firings by acknowledgement; a deferred firing that has come back is not counted."""

    handled: int = 0
    deferred: int = 0
    ignored: int = 0
