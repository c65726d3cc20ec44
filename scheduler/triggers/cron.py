"""cron: a cron expression in a time zone, with Vixie cron's rules for clock changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from scheduler.domain.errors import ReveilleError
from scheduler.domain.misfire import Schedule
from scheduler.triggers.base import CheckContext
from scheduler.triggers.cron_expression import parse_expression
from scheduler.triggers.cron_schedule import CronSchedule
from scheduler.triggers.options import Option
from scheduler.triggers.recurring import TIMEZONE_OPTION, RecurringConfig, Timezone

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
