"""interval: every so many minutes or seconds, on a grid that never drifts."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import ClassVar, NamedTuple
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator, model_validator

from scheduler.domain.schedule import Schedule
from scheduler.triggers.options import Option
from scheduler.triggers.recurring import TIMEZONE_OPTION, RecurringConfig

DEFAULT_MINUTES = 30.0
MAX_SECONDS = 366 * 24 * 3600
"""A year: anything rarer should be a cron or once trigger, or is a typing error."""


class IntervalSchedule(NamedTuple):
    """The slots `anchor + k · step` for k ≥ 1."""

    anchor: datetime
    step: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """Returns the first slot after `moment`."""
        return self.anchor + self.step * (max((moment - self.anchor) // self.step, 0) + 1)

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`."""
        passed = (moment - self.anchor) // self.step
        return self.anchor + self.step * passed if passed >= 1 else None

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts the slots in [first, last]; always exact."""
        return max((last - self.anchor) // self.step + (self.anchor - first) // self.step + 1, 0), True


class IntervalConfig(RecurringConfig):
    """`{"minutes": 30}` or `{"seconds": 90}`, fractions allowed.

    Restricted by `only_between`, `exclude` and `until`, and spread by `jitter_seconds`.
    """

    kind: ClassVar = "interval"
    label: ClassVar = "Interval"
    summary: ClassVar = "At a fixed interval, without drift."
    for_agents: ClassVar = '{"minutes": 30}: every so often'
    icon: ClassVar = "M-4.5-4.5h9v9h-9Z"
    docs: ClassVar = "docs/triggers/interval.md"
    main_fields: ClassVar = ("minutes", "seconds")
    options: ClassVar = (Option("--every", "seconds", "How often.", "duration", "20s|5m|2h|1d"), TIMEZONE_OPTION)

    minutes: float | None = Field(
        default=None,
        allow_inf_nan=False,
        title="Every (minutes)",
        description=f"The first run is one interval from now. Fractions are allowed; empty: {DEFAULT_MINUTES:g}.",
        examples=[30],
    )
    seconds: float | None = Field(
        default=None,
        allow_inf_nan=False,
        title="Every (seconds)",
        description="Alternative to minutes.",
        examples=[90],
    )

    @field_validator("minutes", "seconds")
    @classmethod
    def _in_bounds(cls, value: float | None, info: ValidationInfo) -> float | None:
        unit = 60 if info.field_name == "minutes" else 1
        if value is not None and not 1 <= value * unit <= MAX_SECONDS:
            raise ValueError(f"{value:g} is out of bounds; an interval is from 1 second to 366 days")
        return value

    @model_validator(mode="after")
    def _one_unit(self) -> IntervalConfig:
        if self.minutes is not None and self.seconds is not None:
            raise ValueError("give minutes or seconds, not both")
        return self

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Returns an even grid, first after one full interval.

        Zones and clock changes only affect its hours and days.
        """
        return self.narrowed(IntervalSchedule(anchor, self._step), zone, seed)

    def step(self) -> timedelta:
        """Returns the interval."""
        return self._step

    @cached_property
    def _step(self) -> timedelta:
        minutes = DEFAULT_MINUTES if self.minutes is None else self.minutes
        return timedelta(seconds=self.seconds or minutes * 60)
