"""The slots of a time trigger, as its kind gives them, and notes on them for a preview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol, runtime_checkable

COUNTED_SLOTS = 100
"""How many missed cron slots are counted exactly; beyond that it is "100+"."""
TICK = timedelta(microseconds=1)
NoteKind = Literal["moved", "merged", "repeated", "outside", "excluded", "ended", "jittered"]


class Schedule(Protocol):
    """The slots of a time trigger. All times are aware, UTC."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment`; None when there is none."""
        ...

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`."""
        ...

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts the slots in [first, last], and tells whether that is exact; counting may stop at `limit`."""
        ...


class Slots(NamedTuple):
    """The range of slots that one firing covers."""

    first: datetime
    last: datetime
    count: int = 1  # type: ignore[assignment]  # a tuple's own `count` is not used
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Note:
    """A note on time `at`: a slot, or one that is skipped."""

    at: datetime
    kind: NoteKind
    text: str


@runtime_checkable
class NotedSchedule(Protocol):
    """A schedule with notes on its slots."""

    def notes(self, moment: datetime, count: int) -> list[Note]:
        """Returns the notes on the next `count` slots after `moment`, in order of time."""
        ...


def notes_of(schedule: Schedule, moment: datetime, count: int) -> list[Note]:
    """Returns the notes of `schedule` on its next `count` slots after `moment`."""
    return schedule.notes(moment, count) if isinstance(schedule, NotedSchedule) else []
