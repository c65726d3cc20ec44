"""Matches the days of a cron expression: its months and its two day fields together."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

ALL_MONTHS = frozenset(range(1, 13))
ALL_DAYS = frozenset(range(1, 32))
ALL_WEEKDAYS = frozenset(range(7))
LAST = -1
"""The last such weekday of a month, in place of an `nth` of 1 to 5."""

_HORIZON_MONTHS = 50 * 12
# The rarest existing day, 29 February on a given weekday, is at most 40 years away.


@dataclass(frozen=True, slots=True)
class DayRule:
    """The months and both day fields of an expression.

    Days of the month are 1 to 31 or, counted from the last day, 0, -1, -2, …; weekdays are 0 (Sunday) to 6.
    """

    months: frozenset[int] = ALL_MONTHS
    days: frozenset[int] = ALL_DAYS
    near_days: frozenset[int] = frozenset()
    """Days written with W, each replaced by the nearest weekday (Monday to Friday) within the month."""
    weekdays: frozenset[int] = ALL_WEEKDAYS
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    """(weekday, nth) for `#` and `L`; nth is 1 to 5 or LAST."""
    both: bool = True
    """Whether a day must match both day fields (one of them starts with `*`), or either (Vixie cron)."""

    def first(self, start: date) -> date | None:
        """Returns the first matching day at or after `start`; None if there is none within 50 years."""
        for year, month in _months(start, 1):
            for day in self.days_in(year, month):
                if (found := date(year, month, day)) >= start:
                    return found
        return None

    def last(self, end: date) -> date | None:
        """Returns the last matching day at or before `end`; None if there is none within 50 years."""
        for year, month in _months(end, -1):
            for day in reversed(self.days_in(year, month)):
                if (found := date(year, month, day)) <= end:
                    return found
        return None

    def days_in(self, year: int, month: int) -> list[int]:
        """Returns the matching days of one month, ascending."""
        if month not in self.months:
            return []
        monday_based, length = monthrange(year, month)
        sunday_based = (monday_based + 1) % 7
        by_day = self._by_day(length, sunday_based)
        by_weekday = self._by_weekday(length, sunday_based)
        return sorted(by_day & by_weekday if self.both else by_day | by_weekday)

    def _by_day(self, length: int, first_weekday: int) -> set[int]:
        found = {day if day > 0 else length + day for day in self.days}
        for near in self.near_days:
            day = near if near > 0 else length + near
            if 1 <= day <= length:
                found.add(_nearest_workday(day, length, (first_weekday + day - 1) % 7))
        return {day for day in found if 1 <= day <= length}

    def _by_weekday(self, length: int, first_weekday: int) -> set[int]:
        found = {day for day in range(1, length + 1) if (first_weekday + day - 1) % 7 in self.weekdays}
        for weekday, nth in self.nth_weekdays:
            first = 1 + (weekday - first_weekday) % 7
            day = first + (length - first) // 7 * 7 if nth == LAST else first + (nth - 1) * 7
            if day <= length:
                found.add(day)
        return found


def _nearest_workday(day: int, length: int, weekday: int) -> int:
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


def _months(start: date, step: int) -> Iterator[tuple[int, int]]:
    first = start.year * 12 + start.month - 1
    for number in range(first, first + step * _HORIZON_MONTHS, step):
        year, month = divmod(number, 12)
        if not date.min.year <= year <= date.max.year:
            return
        yield year, month + 1
