"""Restricts a schedule by rules on the local time and by an end; excluded times are not slots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from scheduler.domain.schedule import TICK, Note, NoteKind, Schedule, notes_of

MAX_JUMPS = 1000
"""The most jumps over excluded times without finding a slot, after which there is considered to be none."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Rule(Protocol):
    """Decides which local times are allowed. They are naive."""

    @property
    def kind(self) -> NoteKind:
        """The kind of note on a skipped slot."""
        ...

    def allow(self, local: datetime) -> bool:
        """Whether `local` is allowed."""
        ...

    def reopening(self, local: datetime) -> datetime:
        """Returns the first allowed time after the excluded `local`."""
        ...

    def closing(self, local: datetime) -> datetime:
        """Returns the start of the excluded span that contains `local`."""
        ...

    def reason(self, local: datetime) -> str:
        """Returns why `local` is excluded; the same at least until `reopening`."""
        ...


@dataclass(frozen=True, slots=True)
class RestrictedSchedule:
    """The slots of `inner` up to `end` (inclusive) that all `rules` allow in the local time of `zone`.

    Each slot is checked by its own local time, so a clock change needs no special rule.
    """

    inner: Schedule
    zone: ZoneInfo
    rules: tuple[Rule, ...] = ()
    end: datetime | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment`; None when there is none within MAX_JUMPS."""
        return self._next(moment, [])

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`; None when there is none within MAX_JUMPS."""
        if self.end is not None:
            moment = min(moment, self.end)
        try:
            for _ in range(MAX_JUMPS):
                slot = self.inner.last_until(moment)
                rule = None if slot is None else self._rule_against(slot)
                if slot is None or rule is None:
                    return slot
                moment = self._closing(rule, slot) - TICK
        except OverflowError:  # datetime begins with the year 1
            pass
        return None

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts the slots in [first, last] one by one, up to `limit`."""
        count, slot = 0, self.next_after(first - TICK)
        while slot is not None and slot <= last:
            if count == limit:
                return count, False
            count, slot = count + 1, self.next_after(slot)
        return count, True

    def allows(self, moment: datetime) -> bool:
        """Whether a slot at `moment` would be allowed."""
        return (self.end is None or moment <= self.end) and self._rule_against(moment) is None

    def notes(self, moment: datetime, count: int) -> list[Note]:
        """Returns the notes on the inner slots, the skipped ones before them, and the end."""
        said: dict[str, Note] = {}
        for note in self._notes(moment, count):
            said.setdefault(note.text, note)
        return list(said.values())

    def _notes(self, moment: datetime, count: int) -> Iterator[Note]:
        for _ in range(count):
            passed: list[tuple[datetime, Rule]] = []
            slot = self._next(moment, passed)
            for at, rule in passed:
                yield Note(at, rule.kind, rule.reason(self._local(at)))
            if slot is None:
                if self.end is not None:
                    yield Note(moment, "ended", f"None comes after {self._local(self.end):%Y-%m-%d %H:%M}.")
                return
            yield from notes_of(self.inner, slot - TICK, 1)
            moment = slot

    def _next(self, moment: datetime, passed: list[tuple[datetime, Rule]]) -> datetime | None:
        """Finds like `next_after`; adds the first slot of each skipped stretch, and its rule, to `passed`."""
        try:
            for _ in range(MAX_JUMPS):
                slot = self.inner.next_after(moment)
                if slot is None or (self.end is not None and slot > self.end):
                    return None
                rule = self._rule_against(slot)
                if rule is None:
                    return slot
                passed.append((slot, rule))
                moment = self._reopening(rule, slot) - TICK
        except OverflowError:  # datetime ends with the year 9999
            pass
        return None

    def _rule_against(self, moment: datetime) -> Rule | None:
        local = self._local(moment)
        return next((rule for rule in self.rules if not rule.allow(local)), None)

    def _reopening(self, rule: Rule, slot: datetime) -> datetime:
        """Returns a time after the excluded `slot` without an allowed time in between."""
        target = min(each for each in self._readings(rule.reopening(self._local(slot))) if each > slot)
        return self._change(slot, min(target, slot + _DAY)) or target

    def _closing(self, rule: Rule, slot: datetime) -> datetime:
        """Returns a time up to the excluded `slot` with no allowed time from it on."""
        target = max(each for each in self._readings(rule.closing(self._local(slot))) if each <= slot)
        return self._change(max(target, slot - _DAY), slot) or target

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _readings(self, local: datetime) -> list[datetime]:
        """Returns the instants of a local time: two when it is repeated or missing (PEP 495)."""
        return [local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)]

    def _change(self, early: datetime, late: datetime) -> datetime | None:
        """Finds a clock change between two instants at most a day apart: the first instant of the new offset.

        Local time may jump into an allowed span there, so a jump must not go further. No clock change exceeds a
        day.
        """
        old = early.astimezone(self.zone).utcoffset()
        if old == late.astimezone(self.zone).utcoffset():
            return None
        while late - early > _SECOND:
            middle = early + (late - early) / 2
            if middle.astimezone(self.zone).utcoffset() == old:
                early = middle
            else:
                late = middle
        return late.replace(microsecond=0)
