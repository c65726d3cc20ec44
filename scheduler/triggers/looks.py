"""The base class for kinds with their own check, such as those of installed packages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from scheduler.domain.schedule import Schedule
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.interval import MAX_SECONDS, IntervalSchedule


@dataclass(frozen=True, slots=True)
class Document:
    """A document that a firing carries besides its data. The data refers to it by its number, counted from 1."""

    name: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An occurrence with its own firing."""

    key: str
    """The same key of the same trigger means the same firing, however often it is reported."""
    data: Mapping[str, Any]
    documents: Sequence[Document] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check."""

    cursor: Any
    """The cursor for the next check: any JSON. It is stored if and only if the firing is recorded."""
    data: Mapping[str, Any] | None = None
    """The data of the firing; None: nothing to fire."""
    note: str | None = None
    """A remark on a successful check."""
    shown: Any = None
    """What a trial shows when there is nothing to fire."""
    documents: Sequence[Document] = ()
    """Documents that the firing with `data` carries."""
    occurrences: Sequence[Occurrence] = ()
    """Separate firings, instead of one with `data`."""
    settled: Callable[[Sequence[str]], None] | None = None
    """Called after the commit, with the keys of the recorded occurrences.

    It may block and raise: a later check catches up if it is not called.
    """
    more: bool = False
    """Whether there is more to read immediately."""


class LookConfig(TriggerConfig):
    """A kind whose triggers check something periodically, in a worker's thread.

    A subclass implements `look`. Its result is applied in one transaction, firing and cursor together, and only if
    nobody edited the trigger and no other check ended meanwhile. A check that raises has failed: it is repeated
    with growing pauses, the first failure and the recovery are audited, and after many consecutive failures the
    trigger is paused.
    """

    checked_by: ClassVar = "scheduler.intake.polls.queue:queue_due_polls"
    max_cursor_chars: ClassVar[int] = 1024 * 1024
    """The maximum size of the cursor's JSON."""

    interval_seconds: float = Field(
        default=60.0,
        ge=1,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        title="Check interval (seconds)",
        description="How often it checks.",
    )

    def look(self, cursor: Any) -> CheckResult:
        """Checks once. `cursor`: from the last check; None at the first, and after a change of the config.

        It may block for up to LOOK_SECONDS (scheduler/intake/polls/custom_checks.py), and may be repeated with the same
        cursor. The message of a ReveilleError that it raises is shown to people.
        """
        raise NotImplementedError

    def look_with(self, cursor: Any, resources: CheckResources) -> CheckResult:
        """Checks once with the worker's resources: for kinds that need more than `look` gets."""
        return self.look(cursor)

    def remembered(self, cursor: Any) -> Any:
        """Formats a cursor for display."""
        return cursor

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Returns an even grid of checks."""
        return IntervalSchedule(anchor, self.step())

    def step(self) -> timedelta:
        """Returns the time between two checks."""
        return timedelta(seconds=self.interval_seconds)

    def first_run(self, schedule: Schedule, now: datetime) -> datetime | None:
        """Returns `now`: changes count from now on."""
        return now

    def fingerprint(self) -> str:
        """Returns what a cursor depends on; when it changes, the next check is like the first."""
        parts = self.model_dump(mode="json", exclude={"interval_seconds"})
        return sha256(json.dumps([self.kind, parts], sort_keys=True).encode()).hexdigest()
