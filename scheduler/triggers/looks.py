"""Kinds that look for themselves at whatever they watch: the base class for kinds of installed packages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from scheduler.domain.misfire import Schedule
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.interval import MAX_SECONDS, IntervalSchedule
from scheduler.triggers.means import Means


@dataclass(frozen=True, slots=True)
class Document:
    """What a firing carries whole beside its data. The data names it by its number, counted from 1."""

    name: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One thing that happened, with a firing of its own."""

    key: str
    """The same key of the same trigger is the same firing, however often it is told."""
    data: Mapping[str, Any]
    documents: Sequence[Document] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a look came to."""

    cursor: Any
    """What the next look is given: any JSON. It is kept only if the firing is recorded, and the other way round."""
    data: Mapping[str, Any] | None = None
    """The data of the firing; None: there is nothing to fire."""
    note: str | None = None
    """What there is to say of the look, though all is well."""
    shown: Any = None
    """What a trial shows of a look that has nothing to fire."""
    documents: Sequence[Document] = ()
    """What the firing with `data` carries beside it."""
    occurrences: Sequence[Occurrence] = ()
    """Firings of their own, in place of the one with `data`."""
    settled: Callable[[Sequence[str]], None] | None = None
    """Called after the commit, with the keys of the occurrences that are recorded. It may block and raise: whatever
    it is to do is done by a later look, if it does not come to it."""
    more: bool = False
    """Whether there is more to see at once."""


class LookConfig(TriggerConfig):
    """A kind whose triggers look at something every so often, in a thread of a worker.

    A subclass gives `look`. The result of a look is taken in one transaction, firing and cursor together, and only
    if nobody edited the trigger and no other look ended meanwhile. A look that raises is a failure: it is tried again
    with growing pauses, the first failure and the recovery are audited, and after many in a row the trigger is paused.
    """

    checked_by: ClassVar = "scheduler.intake.polls.queue:queue_due_polls"
    max_cursor_chars: ClassVar[int] = 1024 * 1024
    """Of the cursor's JSON."""

    interval_seconds: float = Field(
        default=60.0,
        ge=1,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        title="Check interval (seconds)",
        description="How often it looks.",
    )

    def look(self, cursor: Any) -> Sighting:
        """Look once. `cursor`: what the last look left; None at the first, and after a change of the config.

        It may block for up to LOOK_SECONDS (scheduler/intake/polls/watch.py), and may be called again with the same
        cursor. The message of a ReveilleError that it raises is shown to people.
        """
        raise NotImplementedError

    def look_with(self, cursor: Any, means: Means) -> Sighting:
        """Look once, with what the worker has for looks: for kinds that need more than `look` is given."""
        return self.look(cursor)

    def remembered(self, cursor: Any) -> Any:
        """What to show people of a cursor."""
        return cursor

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """An even grid of looks."""
        return IntervalSchedule(anchor, self.step())

    def step(self) -> timedelta:
        """The time between two looks."""
        return timedelta(seconds=self.interval_seconds)

    def first_run(self, schedule: Schedule, now: datetime) -> datetime | None:
        """At once: what changes from now on is what counts."""
        return now

    def fingerprint(self) -> str:
        """Of what a cursor belongs to: under another one, the next look is like the first."""
        parts = self.model_dump(mode="json", exclude={"interval_seconds"})
        return sha256(json.dumps([self.kind, parts], sort_keys=True).encode()).hexdigest()
