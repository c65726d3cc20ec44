"""Notes on slots, which a preview shows besides the times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from scheduler.domain.schedule import Schedule

NoteKind = Literal["moved", "merged", "repeated", "outside", "excluded", "ended", "jittered"]


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
