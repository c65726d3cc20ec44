"""The base class of recurring kinds: active hours, excluded dates, an end, and jitter."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from scheduler.domain.errors import InvalidField
from scheduler.domain.local_time import read_iso
from scheduler.domain.schedule import TICK, Schedule
from scheduler.triggers.active_hours import Hours, OnlyBetween
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.excluded_dates import Exclude, ExcludedDates
from scheduler.triggers.jitter import MAX_SECONDS, JitteredSchedule
from scheduler.triggers.options import Option
from scheduler.triggers.schedule_rules import RestrictedSchedule, Rule
from scheduler.triggers.zones import clock_change_at, instant_of, load_zone

FIRST_YEAR, LAST_YEAR = 1970, 9000


def _is_date_or_moment(text: str) -> str:
    try:
        year = _parse_until(text).year
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is not an ISO 8601 date or time, such as 2030-01-31 or 2030-01-31T18:00:00+01:00"
        ) from None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"the year is not in {FIRST_YEAR}..{LAST_YEAR}")
    return text


Until = Annotated[
    str,
    AfterValidator(_is_date_or_moment),
    Field(
        description="ISO 8601: the last possible run; a date includes the whole day. Local to the trigger's zone."
    ),
]


Timezone = Annotated[
    str | None,
    Field(
        title="Time zone",
        description="For example Europe/Berlin. Empty: the agent's, else the tenant's.",
        json_schema_extra={"x-picker": "zone"},
    ),
]
TIMEZONE_OPTION = Option(
    "--timezone", "timezone", "For example Europe/Berlin; default: the agent's.", implies=False
)


class RecurringConfig(TriggerConfig):
    """The fields that restrict and spread the slots of a kind.

    Hours, days and end apply to the slot itself; its jitter is then kept within them.
    """

    jitter_seconds: float | None = Field(
        default=None,
        ge=0,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        title="Jitter (seconds)",
        description="Spreads out runs that share a start time: each is delayed by less than this.",
    )
    exclude: Exclude | None = Field(
        default=None,
        title="Excluded dates",
        description="A date, or a FIRST/LAST range.",
        json_schema_extra={"x-picker": "days"},
    )
    only_between: OnlyBetween | None = Field(
        default=None,
        title="Active hours",
        description="HH:MM-HH:MM in local time; may span midnight.",
    )
    until: Until | None = Field(
        default=None,
        title="Until",
        description="ISO 8601: the last possible run; a date includes the whole day. Local time.",
    )

    def narrowed(self, schedule: Schedule, zone: str, seed: UUID | None) -> Schedule:
        """Returns `schedule` restricted by these fields; without a `seed` there is no jitter."""
        if self.only_between or self.exclude or self.until is not None:
            rules = _rules(self.only_between, tuple(self.exclude or ()))
            end = None if self.until is None else _last_moment(self.until, zone)
            schedule = RestrictedSchedule(schedule, load_zone(zone), rules, end)
        if self.jitter_seconds and seed is not None:
            schedule = JitteredSchedule(schedule, timedelta(seconds=self.jitter_seconds), seed)
        return schedule

    def no_slot(self, zone: str, anchor: datetime, now: datetime) -> InvalidField:
        """Names the first field that leaves no slot."""
        for name in ("until", "only_between", "exclude"):
            wider = self.model_copy(update={name: None}).schedule(zone, anchor, None)
            if getattr(self, name) and wider is not None and wider.next_after(now) is not None:
                return InvalidField(f"{name} leaves no time at which the trigger could fire.", field=name)
        return super().no_slot(zone, anchor, now)


@lru_cache(maxsize=1024)
def _rules(only_between: str | None, exclude: tuple[str, ...]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    if only_between is not None:
        rules.append(Hours.parse(only_between))
    if exclude:
        rules.append(ExcludedDates.parse(exclude))
    return tuple(rules)


def _parse_until(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return read_iso(text)


@lru_cache(maxsize=1024)
def _last_moment(until: str, zone: str) -> datetime:
    """Returns the last time that may have a slot, UTC."""
    parsed, info = _parse_until(until), load_zone(zone)
    if isinstance(parsed, datetime):
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=info)).astimezone(UTC)
    midnight = datetime.combine(parsed + timedelta(days=1), datetime.min.time())
    change = clock_change_at(info, midnight)
    begun = change.at if change and change.is_forward else instant_of(info, midnight, fold=0)
    return begun - TICK
