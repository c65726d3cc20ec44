"""`jitter_seconds`: spreads slots that many triggers share, so that they are not all due at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

from scheduler.domain.schedule import TICK, Note, Schedule, notes_of
from scheduler.triggers.schedule_rules import RestrictedSchedule

MAX_SECONDS = 24 * 3600

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class JitteredSchedule:
    """The slots of `inner`, each delayed by less than `spread`, always the same for a trigger and slot.

    A slot stays before the next one of `inner`, so order and number are those of `inner`. If `inner` is
    restricted, the delayed slot also stays within the restriction.
    """

    inner: Schedule
    spread: timedelta
    seed: UUID
    """The trigger's id."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment`."""
        begun = self.inner.last_until(moment)
        if begun is not None and (slot := self._put_off(begun)) > moment:
            return slot
        following = self.inner.next_after(moment)
        return None if following is None else self._put_off(following)

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`."""
        begun = self.inner.last_until(moment)
        if begun is not None and self._put_off(begun) > moment:
            begun = self.inner.last_until(begun - TICK)
        return None if begun is None else self._put_off(begun)

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts the slots in [first, last], as exactly as `inner` does."""
        low, high = self.next_after(first - TICK), self.last_until(last)
        if low is None or high is None or low > high:
            return 0, True
        return self.inner.count_between(self._original(low), self._original(high), limit)

    def notes(self, moment: datetime, count: int) -> list[Note]:
        """Returns the notes on the inner slots, and the delay of each."""
        slots: dict[datetime, datetime] = {}
        slot = self.next_after(moment)
        while slot is not None and len(slots) < count:
            slots[self._original(slot)] = slot
            slot = self.next_after(slot)
        start = min([moment, *(original - TICK for original in slots)])
        inside = [replace(note, at=slots.get(note.at, note.at)) for note in notes_of(self.inner, start, count)]
        moved = [
            Note(slot, "jittered", f"Delayed by {(slot - original).total_seconds():g} s by jitter_seconds.")
            for original, slot in slots.items()
        ]
        return sorted(inside + moved, key=lambda note: note.at)

    def slot_that_fires_at(self, moment: datetime) -> datetime:
        """Returns the slot of `inner` that is delayed to `moment`; `moment` itself when none is."""
        slot = self.inner.last_until(moment)
        return moment if slot is None or self._put_off(slot) != moment else slot

    def fires_at(self, slot: datetime) -> datetime:
        """Returns when `slot` of `inner` fires."""
        return self._put_off(slot)

    def _original(self, slot: datetime) -> datetime:
        """Returns the slot of `inner` behind `slot`."""
        return self.inner.last_until(slot) or slot

    def _put_off(self, slot: datetime) -> datetime:
        following = self.inner.next_after(slot)
        room = self.spread if following is None else min(self.spread, following - slot)
        digest = blake2b(f"{self.seed}:{(slot - _EPOCH) // TICK}".encode(), digest_size=8).digest()
        offset = (room // _MILLISECOND) * int.from_bytes(digest) >> 64
        if isinstance(self.inner, RestrictedSchedule):
            while offset and not self.inner.allows(slot + offset * _MILLISECOND):
                offset //= 2
        return slot + offset * _MILLISECOND


def slot_that_fires_at(schedule: Schedule, moment: datetime) -> datetime:
    """Returns the slot, a nominal time, that `schedule` fires at `moment`."""
    return schedule.slot_that_fires_at(moment) if isinstance(schedule, JitteredSchedule) else moment


def fires_at(schedule: Schedule, slot: datetime) -> datetime | None:
    """Returns when `schedule` fires the slot with nominal time `slot`; None when it has no such slot."""
    nominal = schedule.inner if isinstance(schedule, JitteredSchedule) else schedule
    if nominal.last_until(slot) != slot:
        return None
    return schedule.fires_at(slot) if isinstance(schedule, JitteredSchedule) else slot
