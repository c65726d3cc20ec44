"""The wall-clock times that match a cron expression, ignoring clock changes."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import datetime, time, timedelta
from threading import Lock

from croniter import croniter

from scheduler.triggers.cron_days import ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, DayRule
from scheduler.triggers.cron_expression import CronExpression

SECOND = timedelta(seconds=1)
_END_OF_DAY = time(23, 59, 59)


class WallTimes:
    """Finds next and previous matching wall-clock times, naive and in whole seconds; thread-safe.

    croniter does the search. It lacks L-n, nW, LW, nL and Vixie cron's rule for `*` in a day field, so for those
    it finds only the times of a day, and the DayRule finds the days.
    """

    def __init__(self, expression: CronExpression) -> None:
        rule = expression.day_rule
        self._days = None if _is_plain(rule) else rule
        fields = [_numbers(expression.minutes, 60), _numbers(expression.hours, 24)]
        fields += ["*", "*", "*"] if self._days else _day_fields(rule)
        if expression.seconds != {0}:
            fields.append(_numbers(expression.seconds, 60))
        self._croniter = croniter(" ".join(fields), 0)
        self._lock = Lock()  # a croniter has state

    def after(self, wall: datetime) -> datetime | None:
        """Returns the first match after `wall`; None past the end of the calendar or 50 years."""
        try:
            slot = self._next(wall)
            if self._days is None:
                return slot
            day = self._days.first(slot.date())
            if day is None or day == slot.date():
                return slot if day else None
            return self._next(datetime.combine(day, time.min) - SECOND)
        except (ValueError, OverflowError):  # how croniter and datetime report that
            return None

    def until(self, wall: datetime) -> datetime | None:
        """Returns the last match at or before `wall`; None before the start of the calendar or 50 years."""
        try:
            slot = self._previous(wall)
            if self._days is None:
                return slot
            day = self._days.last(slot.date())
            if day is None or day == slot.date():
                return slot if day else None
            return self._previous(datetime.combine(day, _END_OF_DAY))
        except (ValueError, OverflowError):
            return None

    def between(self, first: datetime, end: datetime) -> list[datetime]:
        """Returns all matches from `first` (inclusive) to `end` (exclusive)."""
        found: list[datetime] = []
        slot = self.after(first - SECOND)
        while slot is not None and slot < end:
            found.append(slot)
            slot = self.after(slot)
        return found

    def _next(self, wall: datetime) -> datetime:
        with self._lock:
            found: datetime = self._croniter.get_next(datetime, start_time=wall)
        return found

    def _previous(self, wall: datetime) -> datetime:
        with self._lock:
            found: datetime = self._croniter.get_prev(datetime, start_time=wall + SECOND)
        return found


def _is_plain(rule: DayRule) -> bool:
    """Whether croniter can match the days: numbers only, and not two fields that must both match."""
    numbers_only = not rule.near_days and not rule.nth_weekdays and min(rule.days, default=0) > 0
    return numbers_only and not (rule.both and rule.days != ALL_DAYS and rule.weekdays != ALL_WEEKDAYS)


def _day_fields(rule: DayRule) -> list[str]:
    days, weekdays = _numbers(rule.days, 31), _numbers(rule.weekdays, 7)
    if not rule.both and "*" in (days, weekdays):
        # 1-31 is not `*`: either field suffices, so every day matches; croniter would require both.
        days = weekdays = "*"
    return [days, _numbers(rule.months, len(ALL_MONTHS)), weekdays]


def _numbers(values: AbstractSet[int], count: int) -> str:
    return "*" if len(values) == count else ",".join(map(str, sorted(values)))
