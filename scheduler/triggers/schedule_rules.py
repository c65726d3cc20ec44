"""Narrows a schedule by rules on the local time and by an end: what they leave out is no slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from scheduler.domain.misfire import TICK, Schedule
from scheduler.triggers.notes import Note, NoteKind, notes_of

MAX_JUMPS = 1000
"""Jumps out of what a rule leaves out without coming to a slot, after which there is held to be none."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Rule(Protocol):
    """Which local times are allowed. They are naive."""

    @property
    def kind(self) -> NoteKind:
        """The kind of note on a slot that is passed over."""
        ...

    def allow(self, local: datetime) -> bool:
        """Whether `local` is allowed."""
        ...

    def reopening(self, local: datetime) -> datetime:
        """The first allowed time after `local`, which is not."""
        ...

    def closing(self, local: datetime) -> datetime:
        """The first of the times that are left out, up to `local`, which is one."""
        ...

    def reason(self, local: datetime) -> str:
        """Why `local` is left out; the same for all times up to `reopening` at least."""
        ...


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The slots of `inner` up to `end` (included) that all `rules` allow by the clocks of `zone`.

    Each slot is asked for its own local time, so a clock change needs no rule of its own.
    """

    inner: Schedule
    zone: ZoneInfo
    rules: tuple[Rule, ...] = ()
    end: datetime | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """The first slot after `moment`; None when there is none within MAX_JUMPS."""
        return self._next(moment, [])

    def last_until(self, moment: datetime) -> datetime | None:
        """The newest slot at or before `moment`; None when there is none within MAX_JUMPS."""
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
        """How many slots lie in [first, last]; counted one by one, as far as `limit`."""
        count, slot = 0, self.next_after(first - TICK)
        while slot is not None and slot <= last:
            if count == limit:
                return count, False
            count, slot = count + 1, self.next_after(slot)
        return count, True

    def allows(self, moment: datetime) -> bool:
        """Whether a slot at `moment` would be one."""
        return (self.end is None or moment <= self.end) and self._rule_against(moment) is None

    def notes(self, moment: datetime, count: int) -> list[Note]:
        """What is said of the slots inside, what is passed over on the way to them, and the end."""
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
        """As `next_after`; adds to `passed` the first of each stretch of slots that is left out, and by what."""
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
        """A moment after `slot`, which is left out, with no allowed moment between."""
        target = min(each for each in self._readings(rule.reopening(self._local(slot))) if each > slot)
        return self._change(slot, min(target, slot + _DAY)) or target

    def _closing(self, rule: Rule, slot: datetime) -> datetime:
        """A moment up to `slot`, which is left out, with no allowed moment from it on."""
        target = max(each for each in self._readings(rule.closing(self._local(slot))) if each <= slot)
        return self._change(max(target, slot - _DAY), slot) or target

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _readings(self, local: datetime) -> list[datetime]:
        """The moments that a local time can mean: two where it is repeated or missing (PEP 495)."""
        return [local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)]

    def _change(self, early: datetime, late: datetime) -> datetime | None:
        """When the clocks change between two moments at most a day apart: the first moment of the new offset.

        Local time may leap there into what is allowed, so a jump goes no further. Beyond a day no leap reaches.
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
