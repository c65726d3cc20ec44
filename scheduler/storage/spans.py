"""The part of a list that lies in a span of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select

SLACK = timedelta(hours=1)
"""As far may the time in an id be from the time in its row: they are of different clocks."""
TIME_SHIFT = 80
"""Bits of a UUIDv7 below its milliseconds (RFC 9562 section 5.7)."""


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment to another, both included; None: without end."""

    since: datetime | None = None
    until: datetime | None = None


EVER = Span()


def within(query: Select[Any], span: Span, moment: Any, id_column: Any) -> Select[Any]:
    """Leave the rows whose `moment` lies in `span`.

    Their ids begin with the time at which they were made, so that the index that puts them in order by id also finds
    where the span begins and ends. `moment` must be set when the row is made.
    """
    if span.since is not None:
        query = query.where(moment >= span.since, id_column >= first_id(span.since - SLACK))
    if span.until is not None:
        query = query.where(moment <= span.until, id_column < first_id(span.until + SLACK))
    return query


def first_id(moment: datetime) -> UUID:
    """The least UUIDv7 that can have been made at `moment`."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=max(milliseconds, 0) << TIME_SHIFT)
