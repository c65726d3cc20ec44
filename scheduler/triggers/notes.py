"""Notes on slots: what a preview says besides the times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from scheduler.domain.misfire import Schedule

NoteKind = Literal["moved", "merged", "repeated", "outside", "excluded", "ended", "jittered"]


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be said about the moment `at`: a slot, or one that is passed over."""

    at: datetime
    kind: NoteKind
    text: str


@runtime_checkable
class Noted(Protocol):
    """A schedule that has something to say about its slots."""

    def notes(self, moment: datetime, count: int) -> list[Note]:
        """On the next `count` slots after `moment`, in the order of time."""
        ...


def notes_of(schedule: Schedule, moment: datetime, count: int) -> list[Note]:
    """What `schedule` has to say about its next `count` slots after `moment`."""
    return schedule.notes(moment, count) if isinstance(schedule, Noted) else []
