"""cron: a cron expression in a time zone, under Vixie cron's rules for clock changes."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from scheduler.domain.misfire import Schedule
from scheduler.domain.model import TriggerType
from scheduler.triggers.base import CheckContext
from scheduler.triggers.cron_schedule import CronSchedule
from scheduler.triggers.recurring import RecurringConfig


class CronConfig(RecurringConfig):
    """`{"expr": "0 9 * * mon-fri", "timezone": "Europe/Berlin"}`; six fields only with `seconds: "first"`.

    Narrowed by `only_between`, `exclude` and `until`, and spread by `jitter_seconds`.
    """

    kind: ClassVar = TriggerType.CRON

    expr: str
    timezone: str | None = None
    seconds: Literal["first"] | None = None

    def check(self, context: CheckContext) -> None:
        """Refuse what is no cron expression, never fires, or names a zone that does not exist."""
        CronSchedule.parse(self.expr, "UTC" if self.timezone is None else self.timezone, seconds=self.seconds)

    def schedule(self, zone: str, anchor: datetime, seed: UUID | None) -> Schedule:
        """The expression's slots in `zone`."""
        return self.narrowed(CronSchedule.parse(self.expr, zone, seconds=self.seconds), zone, seed)
