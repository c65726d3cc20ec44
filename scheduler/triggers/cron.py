"""cron: a cron expression in a time zone, with Vixie cron's rules for clock changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from scheduler.domain.errors import ReveilleError
from scheduler.domain.schedule import Note, Schedule
from scheduler.triggers.base import CheckContext
from scheduler.triggers.cron_clock import CronClock, FixedClock, NaiveClock, RealTimeClock
from scheduler.triggers.cron_expression import CronExpression, parse_expression
from scheduler.triggers.cron_times import WallTimes
from scheduler.triggers.options import Option
from scheduler.triggers.recurring import TIMEZONE_OPTION, RecurringConfig, Timezone
from scheduler.triggers.zones import load_zone

_SCHEDULES_KEPT = 2048
_ANSWERS_KEPT = 16_384
_TICK = timedelta(microseconds=1)


class CronSchedule:
    """The slots of an expression in whole seconds; immutable and thread-safe.

    With a zone, times are aware and results are UTC; without one both are naive. Schedules and their recent
    results are cached, so that thousands of triggers with the same expression and slot cost one search.
    """

    def __init__(self, expression: CronExpression, zone: str | None) -> None:
        self.expression = expression
        self.zone = zone
        self._clock = _clock_for(expression, zone)
        self._last_asked: tuple[datetime, datetime | None] | None = None

    @classmethod
    def parse(cls, expr: str, zone: str | None, *, seconds: Literal["first"] | None = None) -> CronSchedule:
        """Parses 5 fields or a nickname (6 fields with seconds "first") in an IANA `zone`.

        Raises InvalidField for `expr` (invalid, or never fires) or `timezone` (unknown).
        """
        return _parse(expr, zone, seconds)

    def next_after(self, moment: datetime) -> datetime | None:
        """Returns the first slot after `moment`; None past the end of the calendar."""
        last = self._last_asked  # one tuple, so that threads never see only half of it
        if last is not None and last[0] is moment:  # a pass asks with the same time for thousands of triggers
            return last[1]
        try:
            following = _next_after(self._clock, self._own(moment))
        except OverflowError:  # datetime ends with the year 9999
            following = None
        self._last_asked = moment, following
        return following

    def last_until(self, moment: datetime) -> datetime | None:
        """Returns the last slot at or before `moment`; None when there was none in 50 years."""
        try:
            return _last_until(self._clock, self._own(moment))
        except OverflowError:  # datetime begins with the year 1
            return None

    def count_between(self, first: datetime, last: datetime, limit: int) -> tuple[int, bool]:
        """Counts the slots in [first, last] up to `limit`, and tells whether these are all."""
        return _count(self._clock, self._own(first - _TICK), self._own(last), limit)

    def notes(self, moment: datetime, count: int) -> list[Note]:
        """Returns the effects of clock changes on the next `count` slots after `moment`."""
        notes: list[Note] = []
        slot = self.next_after(moment)
        while slot is not None and count > 0:
            notes += self._clock.notes(slot)
            slot = self.next_after(slot)
            count -= 1
        return notes

    def __repr__(self) -> str:
        return f"CronSchedule({self.expression.text!r}, {self.zone!r})"

    def _own(self, moment: datetime) -> datetime:
        """Converts `moment` to this schedule's form: UTC or naive, in whole seconds."""
        if (self.zone is None) != (moment.tzinfo is None):
            wanted = "a naive moment" if self.zone is None else "a moment with a time zone"
            raise ValueError(f"{self!r} takes {wanted}, not {moment!r}")
        return (moment if self.zone is None else moment.astimezone(UTC)).replace(microsecond=0)


def _clock_for(expression: CronExpression, zone: str | None) -> CronClock:
    times = WallTimes(expression)
    if zone is None:
        return NaiveClock(times)
    clock = RealTimeClock if expression.follows_real_time else FixedClock
    return clock(times, load_zone(zone))


@lru_cache(maxsize=_SCHEDULES_KEPT)
def _parse(expr: str, zone: str | None, seconds: Literal["first"] | None) -> CronSchedule:
    return CronSchedule(parse_expression(expr, seconds), zone)


@lru_cache(maxsize=_ANSWERS_KEPT)
def _next_after(clock: CronClock, moment: datetime) -> datetime | None:
    return clock.after(moment)


@lru_cache(maxsize=_ANSWERS_KEPT)
def _last_until(clock: CronClock, moment: datetime) -> datetime | None:
    return clock.until(moment)


@lru_cache(maxsize=_ANSWERS_KEPT)
def _count(clock: CronClock, before: datetime, last: datetime, limit: int) -> tuple[int, bool]:
    """Counts the slots in (before, last]."""
    count = 0
    slot = clock.after(before)
    while slot is not None and slot <= last:
        if count >= limit:
            return count, False
        count += 1
        slot = clock.after(slot)
    return count, True


SIZES = (60, 60, 24, 0, 12, 0)
"""The number of values of second, minute, hour and month. Days have no even step, as each month starts over."""


class CronConfig(RecurringConfig):
    """`{"expr": "0 9 * * mon-fri", "timezone": "Europe/Berlin"}`; six fields only with `seconds: "first"`.

    Restricted by `only_between`, `exclude` and `until`, and spread by `jitter_seconds`.
    """

    kind: ClassVar = "cron"
    label: ClassVar = "Cron schedule"
    summary: ClassVar = "On a calendar schedule, such as weekdays at nine or the last day of the month."
    for_agents: ClassVar = '{"expr": "0 9 * * mon-fri", "timezone"?: "Europe/Berlin"}: at these times'
    icon: ClassVar = "M4.5 0A4.5 4.5 0 1 1-4.5 0 4.5 4.5 0 0 1 4.5 0Z"
    docs: ClassVar = "docs/triggers/cron.md"
    main_fields: ClassVar = ("expr", "timezone")
    options: ClassVar = (
        Option("--expr", "expr", 'Five fields, such as "0 9 * * mon-fri", or @daily.'),
        Option("--seconds-first", "seconds", "Six fields, starting with seconds.", "flag", value="first"),
        TIMEZONE_OPTION,
    )

    expr: str = Field(
        title="Expression",
        description="Minute hour day month weekday, for example 0 9 * * mon-fri, or @daily.",
        examples=["0 9 * * mon-fri"],
    )
    timezone: Timezone = None
    seconds: Literal["first"] | None = Field(
        default=None, title="Seconds", description="`first`: six fields, the first of which is seconds."
    )

    @classmethod
    def in_words(cls, config: Mapping[str, Any]) -> str:
        """Describes the expression, such as "At 09:00, Monday through Friday"."""
        return cron_words(config)

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for an invalid expression, one that never fires, or an unknown zone."""
        CronSchedule.parse(self.expr, "UTC" if self.timezone is None else self.timezone, seconds=self.seconds)

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """Returns the expression's slots in `zone`."""
        return self.narrowed(CronSchedule.parse(self.expr, zone, seconds=self.seconds), zone, seed)


def cron_words(config: Mapping[str, Any]) -> str:
    """Returns `At 09:00, Monday through Friday`; empty for an invalid expression, or one the library describes
    wrongly.
    """
    try:
        text = parse_expression(str(config.get("expr", "")), config.get("seconds")).text
    except (ReveilleError, TypeError):
        return ""
    fields = text.split() if config.get("seconds") else ["0", *text.split()]
    if not all(_is_even(field, size) for field, size in zip(fields, SIZES, strict=True)) or _is_odd_day(fields):
        return ""
    from cron_descriptor import Options, get_description  # type: ignore[import-untyped]  # loaded when needed

    options = Options()
    options.use_24hour_time_format = True
    try:
        return str(get_description(text, options))
    except Exception:  # noqa: BLE001  # words are a help: without them the expression stands alone
        return ""


def _is_even(field: str, size: int) -> bool:
    """Whether each step of the field has the same length, also across the end of the hour, day or year."""
    for term in field.split(","):
        base, slash, step = term.partition("/")
        if slash and (not size or ("-" not in base and size % int(step))):
            return False
    return True


def _is_odd_day(fields: list[str]) -> bool:
    """Whether it has several of `#`, `L` and `W`, or one beside others, which the library cannot describe."""
    return any("," in field and any(sign in field for sign in "#LW") for field in (fields[3], fields[5]))
