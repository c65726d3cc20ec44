"""`exclude`: calendar days, in the trigger's zone, on which nothing fires."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from scheduler.domain.schedule import NoteKind

MAX_ENTRIES = 366

_DAY = timedelta(days=1)
_FORM = re.compile(r"(\d{4}-\d{2}-\d{2})(?:/(\d{4}-\d{2}-\d{2}))?", re.ASCII)

Span = tuple[date, date]


def parse_span(text: str) -> Span:
    """Parses `"2026-12-24"`, or an inclusive range `"2026-12-24/2027-01-01"` (ISO 8601). Raises ValueError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a date such as 2026-12-24, nor two as in 2026-12-24/2027-01-01")
    first = date.fromisoformat(match[1])
    last = date.fromisoformat(match[2] or match[1])
    if last < first:
        raise ValueError(f"{text} ends before it begins")
    return first, last


def _is_span(text: str) -> str:
    parse_span(text)
    return text


Exclude = Annotated[
    list[Annotated[str, AfterValidator(_is_span)]],
    Field(max_length=MAX_ENTRIES, description="Dates, or inclusive ranges FIRST/LAST, in the trigger's zone."),
]


@dataclass(frozen=True, slots=True)
class ExcludedDates:
    """All times except those on certain days. `spans` ascend and do not touch."""

    spans: tuple[Span, ...]
    kind: ClassVar[NoteKind] = "excluded"

    @classmethod
    def parse(cls, texts: Iterable[str]) -> ExcludedDates:
        """Parses spans in any order, overlapping or not. Raises ValueError."""
        joined: list[Span] = []
        for first, last in sorted(parse_span(text) for text in texts):
            if joined and first <= _day_after(joined[-1][1]):
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    def allow(self, local: datetime) -> bool:
        """Whether a local time is on none of the days."""
        return self._span_of(local.date()) is None

    def reopening(self, local: datetime) -> datetime:
        """Returns the midnight at the end of the excluded days around `local`."""
        return datetime.combine(self._held(local)[1] + _DAY, time.min)

    def closing(self, local: datetime) -> datetime:
        """Returns the midnight at the start of the excluded days around `local`."""
        return datetime.combine(self._held(local)[0], time.min)

    def reason(self, local: datetime) -> str:
        """Returns why nothing fires at `local`."""
        first, last = self._held(local)
        return f"{first} is excluded." if first == last else f"{first} to {last} are excluded."

    def _held(self, local: datetime) -> Span:
        span = self._span_of(local.date())
        if span is None:
            raise ValueError(f"{local} is not excluded")
        return span

    def _span_of(self, day: date) -> Span | None:
        place = bisect_right(self.spans, (day, date.max)) - 1
        return self.spans[place] if place >= 0 and day <= self.spans[place][1] else None


def _day_after(day: date) -> date:
    return day if day == date.max else day + _DAY
