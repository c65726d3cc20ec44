"""Acknowledgements: what an agent says of its firings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import Answer, Moment, Time
from scheduler.domain.shapes import Shape


class AckIn(Shape):
    """What becomes of a firing. `until` is given with `deferred`, and only then."""

    status: Literal["handled", "deferred", "ignored"]
    until: Moment | None = Field(None, description="When it comes back: from one minute to a year from now.")


class AckedOut(Answer):
    """What became of one acknowledgement; `error` says why nothing did."""

    firing_id: str
    status: str | None
    until: Time | None
    error: str | None


class AckCounts(Answer):
    """Firings by what their agent says of them now; one that was deferred and has come back counts for nothing."""

    handled: int = 0
    deferred: int = 0
    ignored: int = 0
