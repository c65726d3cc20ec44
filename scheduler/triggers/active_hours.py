"""`only_between`: a schedule's slots within certain hours of the day, in the trigger's zone. Others are no slots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from scheduler.domain.misfire import TICK, Schedule
from scheduler.triggers.zones import load_zone

MAX_JUMPS = 1000
"""Jumps from one day's hours to the next without a slot in them, after which there is held to be none."""

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` (included) to `end` (excluded) of each day; over midnight when `end` is not after `start`."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Hours:
        """`"09:00-18:00"`, `"22:00-06:00"`, `"18:00-24:00"`. Raises ValueError."""
        match = _SPAN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not of the form HH:MM-HH:MM, such as 09:00-18:00")
        hour, minute, end_hour, end_minute = (int(part) for part in match.groups() if part is not None)
        start, end = time(hour, minute), time(end_hour % 24, end_minute)
        if start == end:
            raise ValueError("it begins where it ends; leave it out for the whole day")
        return cls(start, end)

    def contain(self, moment: time) -> bool:
        """Whether a time of day lies within them."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


def _is_span(text: str) -> str:
    Hours.parse(text)
    return text


OnlyBetween = Annotated[
    str, AfterValidator(_is_span), Field(description="HH:MM-HH:MM; over midnight when it ends earlier.")
]


@dataclass(frozen=True, slots=True)
class ActiveHours:
    """The slots of `inner` that lie within `hours` by the clocks of `zone`.

    Whether a slot does is asked of its own local time, so a clock change needs no rule of its own.
    """

    inner: Schedule
    hours: Hours
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime | None:
        """The first slot after `moment`; None when there is none in the next MAX_JUMPS days that have any."""
        for _ in range(MAX_JUMPS):
            slot = self.inner.next_after(moment)
            if slot is None or self._contains(slot):
                return slot
            moment = self._opening(slot) - TICK
        return None

    def last_until(self, moment: datetime) -> datetime | None:
        """The newest slot at or before `moment`; None when there is none in the MAX_JUMPS days before."""
        for _ in range(MAX_JUMPS):
            slot = self.inner.last_until(moment)
            if slot is None or self._contains(slot):
                return slot
            moment = self._closing(slot) - TICK
        return None

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """How many slots lie in [first, last]; counted one by one, as far as `limit`."""
        count, slot = 0, self.next_after(first - TICK)
        while slot is not None and slot <= last:
            if count == limit:
                return count, False
            count, slot = count + 1, self.next_after(slot)
        return count, True

    def _contains(self, slot: datetime) -> bool:
        return self.hours.contain(slot.astimezone(self.zone).time())

    def _opening(self, slot: datetime) -> datetime:
        """A moment after `slot`, which is outside, with no moment inside before it."""
        local = slot.astimezone(self.zone).replace(tzinfo=None)
        opening = datetime.combine(local.date(), self.hours.start)
        readings = self._readings(opening if opening > local else opening + _DAY)
        target = min(each for each in readings if each > slot)
        return min(target, self._change(slot, target) or target)

    def _closing(self, slot: datetime) -> datetime:
        """A moment at or before `slot`, which is outside, with no moment inside from it to the slot."""
        local = slot.astimezone(self.zone).replace(tzinfo=None)
        closing = datetime.combine(local.date(), self.hours.end)
        readings = self._readings(closing if closing <= local else closing - _DAY)
        target = max(each for each in readings if each <= slot)
        return max(target, self._change(target, slot) or target)

    def _readings(self, local: datetime) -> list[datetime]:
        """The moments that a local time can mean: two where it is repeated or missing (PEP 495)."""
        return [local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)]

    def _change(self, early: datetime, late: datetime) -> datetime | None:
        """When the clocks change between two moments about a day apart: the first moment of the new offset."""
        old, new = early.astimezone(self.zone).utcoffset(), late.astimezone(self.zone).utcoffset()
        if old == new:
            return None
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            if middle.astimezone(self.zone).utcoffset() == old:
                early = middle
            else:
                late = middle
        return late.replace(microsecond=0)


def within(schedule: Schedule, only_between: str | None, zone: str) -> Schedule:
    """`schedule`, kept to the hours `only_between` of `zone` when there are any."""
    return schedule if only_between is None else ActiveHours(schedule, _parsed(only_between), load_zone(zone))


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Hours:
    return Hours.parse(text)
