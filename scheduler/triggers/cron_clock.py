"""Converts wall-clock times that match a cron expression to instants, across clock changes.

The rules are Vixie cron's. Fixed times (`30 2 * * *`) run once a day whatever the clocks do; repeating times
(`*/30 * * * *`) follow real time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from scheduler.domain.schedule import Note
from scheduler.triggers.cron_times import SECOND, WallTimes
from scheduler.triggers.zones import ClockChange, clock_change_at, instant_of

_LISTED = 3


class CronClock(ABC):
    """The slots of an expression as instants in whole seconds."""

    @abstractmethod
    def after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment`."""

    @abstractmethod
    def until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`."""

    @abstractmethod
    def notes(self, slot: datetime) -> Sequence[Note]:
        """Returns the effects of a clock change on `slot`."""


class NaiveClock(CronClock):
    """No zone: naive times, and no clock changes."""

    def __init__(self, times: WallTimes) -> None:
        self._times = times

    def after(self, moment: datetime) -> datetime | None:
        """Returns the first match after the naive `moment`."""
        return self._times.after(moment)

    def until(self, moment: datetime) -> datetime | None:
        """Returns the last match at or before the naive `moment`."""
        return self._times.until(moment)

    def notes(self, slot: datetime) -> Sequence[Note]:
        """Returns nothing: there are no clock changes."""
        return ()


class FixedClock(CronClock):
    """Fixed times of the day: each fires once, when the local clock first shows it or jumps over it.

    A time in the gap fires right after it, and one in a repeated hour fires in the first pass.
    """

    def __init__(self, times: WallTimes, zone: ZoneInfo) -> None:
        self._times = times
        self._zone = zone

    def after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment` (UTC)."""
        slot = self._times.after(self._reached(moment))
        return slot and self._instant(slot)

    def until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment` (UTC)."""
        slot = self._times.until(self._reached(moment))
        return slot and self._instant(slot)

    def notes(self, slot: datetime) -> Sequence[Note]:
        """Notes a slot moved out of the gap, merged there with others, or in a repeated hour."""
        wall = _wall(slot, self._zone)
        notes: list[Note] = []
        change = clock_change_at(self._zone, wall - SECOND)
        if change and change.is_forward and change.at == slot:
            notes += self._gap_notes(change)
        change = clock_change_at(self._zone, wall)
        if change and not change.is_forward:
            text = f"{_show(wall)} comes twice: {_why(self._zone, change)}. It fires once, the first time."
            notes.append(Note(slot, "repeated", text))
        return notes

    def _gap_notes(self, change: ClockChange) -> Iterator[Note]:
        moved = self._times.between(change.before, change.after)
        if not moved:
            return
        why = _why(self._zone, change)
        verb = "is" if len(moved) == 1 else "are"
        yield Note(
            change.at, "moved", f"{_list(moved)} {verb} left out: {why}. It fires at {_show(change.after)}."
        )
        slots = self._times.between(change.before, change.after + SECOND)
        if len(slots) > 1:
            yield Note(change.at, "merged", f"{_list(slots)} fire as one at {_show(change.after)}: {why}.")

    def _reached(self, moment: datetime) -> datetime:
        """Returns the latest time that the local clock has shown until `moment`."""
        local = moment.astimezone(self._zone)
        wall = local.replace(tzinfo=None, fold=0)
        if local.fold and (change := clock_change_at(self._zone, wall)):
            return change.before - SECOND
        return wall

    def _instant(self, slot: datetime) -> datetime:
        change = clock_change_at(self._zone, slot)
        return change.at if change and change.is_forward else instant_of(self._zone, slot, fold=0)


class RealTimeClock(CronClock):
    """Repeating times: they fire whenever the local clock shows a matching time.

    A repeated hour fires twice, and times in the gap are not made up for.
    """

    def __init__(self, times: WallTimes, zone: ZoneInfo) -> None:
        self._times = times
        self._zone = zone

    def after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment` (UTC)."""
        wall = _wall(moment, self._zone)
        slot = self._times.after(wall)
        change = clock_change_at(self._zone, wall)
        if change and moment < change.at and (slot is None or slot >= change.before):
            # No more matches in the first pass: start from the beginning of the second one.
            again = self._times.after(change.after - SECOND)
            if again is not None and again <= wall:
                return instant_of(self._zone, again, fold=1)
        while slot is not None and (gap := self._gap_at(slot)):
            slot = self._times.after(gap.after - SECOND)
        if slot is None:
            return None
        first = instant_of(self._zone, slot, fold=0)
        return first if first > moment else instant_of(self._zone, slot, fold=1)

    def until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment` (UTC)."""
        wall = _wall(moment, self._zone)
        slot = self._times.until(wall)
        change = clock_change_at(self._zone, wall)
        if change and moment >= change.at and (slot is None or slot < change.after):
            # No match yet in the second pass: use the last one of the first.
            before = self._times.until(change.before - SECOND)
            if before is not None and before > wall:
                return instant_of(self._zone, before, fold=0)
        while slot is not None and (gap := self._gap_at(slot)):
            slot = self._times.until(gap.before - SECOND)
        if slot is None:
            return None
        second = instant_of(self._zone, slot, fold=1)
        return second if second <= moment else instant_of(self._zone, slot, fold=0)

    def notes(self, slot: datetime) -> Sequence[Note]:
        """Notes a slot in a repeated hour."""
        wall = _wall(slot, self._zone)
        change = clock_change_at(self._zone, wall)
        if change is None:
            return ()
        which = "first" if slot < change.at else "second"
        text = f"{_show(wall)} comes twice: {_why(self._zone, change)}. It fires both times; this is the {which}."
        return (Note(slot, "repeated", text),)

    def _gap_at(self, slot: datetime) -> ClockChange | None:
        change = clock_change_at(self._zone, slot)
        return change if change and change.is_forward else None


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _why(zone: ZoneInfo, change: ClockChange) -> str:
    way = "forward" if change.is_forward else "back"
    return f"clocks in {zone.key} go {way} from {_show(change.before)} to {_show(change.after)}"


def _list(times: Sequence[datetime]) -> str:
    shown = ", ".join(_show(each) for each in times[:_LISTED])
    return shown if len(times) <= _LISTED else f"{shown} and {len(times) - _LISTED} more"


def _show(wall: datetime) -> str:
    return wall.isoformat(" ", "seconds" if wall.second else "minutes")
