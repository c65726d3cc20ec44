"""once: fires at one time, however late, and is then disabled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field, field_validator

from scheduler.domain.errors import InvalidField
from scheduler.domain.local_time import read_iso
from scheduler.domain.schedule import Schedule
from scheduler.triggers.base import CheckContext, TriggerConfig
from scheduler.triggers.options import Option


def parse_moment(text: str) -> datetime:
    """Parses ISO 8601; without an offset it is UTC, a date alone is midnight UTC. Raises ValueError."""
    moment = read_iso(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class OnceSchedule:
    """A single slot."""

    at: datetime

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the slot, if it is after `moment`."""
        return self.at if self.at > moment else None

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the slot, if it is at or before `moment`."""
        return self.at if self.at <= moment else None

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts one or none."""
        return int(first <= self.at <= last), True


class OnceConfig(TriggerConfig):
    """`{"at": "2030-01-31T09:00:00+01:00"}`; `allow_past` fires a past time immediately."""

    kind: ClassVar = "once"
    label: ClassVar = "One time"
    summary: ClassVar = "At one point in time; late rather than never."
    for_agents: ClassVar = (
        '{"at": "2030-01-31T09:00:00"}: once, then never again; without an offset it is local time of your zone'
    )
    local_moments: ClassVar = ("at",)
    icon: ClassVar = "M0-5.5 5.5 0 0 5.5-5.5 0Z"
    docs: ClassVar = "docs/triggers/once.md"
    main_fields: ClassVar = ("at",)
    renewed_by: ClassVar = "at"
    options: ClassVar = (
        Option("--at", "at", "ISO 8601; without an offset it is UTC."),
        Option("--allow-past", "allow_past", "A past time fires immediately.", "flag"),
    )

    at: str = Field(
        title="At",
        description="ISO 8601, for example 2030-01-31T09:00:00+01:00. UTC without an offset.",
        examples=["2030-01-31T09:00:00+01:00"],
    )
    allow_past: bool = Field(
        default=False, title="Allow a past time", description="A past time fires immediately."
    )

    @field_validator("at")
    @classmethod
    def _is_a_moment(cls, value: str) -> str:
        try:
            parse_moment(value)
        except (ValueError, OverflowError):
            raise ValueError(
                f"{value!r} is not an ISO 8601 date or time, such as 2030-01-31T09:00:00+01:00"
            ) from None
        return value

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for a past time, unless `allow_past` is set."""
        if parse_moment(self.at) <= context.now and not self.allow_past:
            now = context.now.isoformat(timespec="seconds")
            raise InvalidField(
                f"at {self.at} has passed (now {now}); choose a later time, or set allow_past: true to "
                "fire immediately.",
                field="at",
            )

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Returns the single slot; a time without an offset is UTC, whatever the zone."""
        return OnceSchedule(parse_moment(self.at))

    def first_run(self, schedule: Schedule, now: datetime) -> datetime | None:
        """Returns its time, even if that has passed: a late once still fires."""
        return schedule.last_until(now) or schedule.next_after(now)
