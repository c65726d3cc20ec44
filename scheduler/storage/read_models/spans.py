"""Restricts a list to a span of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select

SLACK = timedelta(hours=1)
"""How far the time in an id may differ from the time in its row, as they come from different clocks."""
TIME_SHIFT = 80
"""The number of bits of a UUIDv7 below its milliseconds (RFC 9562 section 5.7)."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one time to another, both inclusive. None means unbounded."""

    since: datetime | None = None
    until: datetime | None = None


EVER = Span()


def within(query: Select[Any], span: Span, moment: Any, id_column: Any) -> Select[Any]:
    """Keeps the rows whose `moment` lies in `span`.

    Ids start with their creation time, so the index by id also bounds the scan. `moment` must be set when the row
    is created.
    """
    if span.since is not None:
        query = query.where(moment >= span.since, id_column >= first_id(span.since - SLACK))
    if span.until is not None:
        query = query.where(moment <= span.until, id_column < first_id(span.until + SLACK))
    return query


def first_id_sql(moment: str) -> str:
    """Returns the SQL of the smallest UUIDv7 that can have been created at `moment`, itself SQL; null for null."""
    milliseconds = f"CAST(1000 * extract(epoch FROM {moment}) AS bigint)"
    return f"CAST(rpad(lpad(to_hex({milliseconds}), 12, '0'), 32, '0') AS uuid)"


def first_id(moment: datetime) -> UUID:
    """Returns the smallest UUIDv7 that can have been created at `moment`."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=max(milliseconds, 0) << TIME_SHIFT)
