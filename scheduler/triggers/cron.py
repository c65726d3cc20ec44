"""cron: a cron expression in a time zone, under Vixie cron's rules for clock changes."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from scheduler.domain.misfire import Schedule
from scheduler.domain.model import TriggerType
from scheduler.triggers.base import CheckContext, TriggerConfig
from scheduler.triggers.cron_schedule import CronSchedule


class CronConfig(TriggerConfig):
    """`{"expr": "0 9 * * mon-fri", "timezone": "Europe/Berlin"}`; six fields only with `seconds: "first"`."""

    kind: ClassVar = TriggerType.CRON

    expr: str
    timezone: str | None = None
    seconds: Literal["first"] | None = None

    def check(self, context: CheckContext) -> None:
        """Refuse what is no cron expression, never fires, or names a zone that does not exist."""
        CronSchedule.parse(self.expr, self.timezone or "UTC", seconds=self.seconds)

    def schedule(self, zone: str, anchor: datetime) -> Schedule:
        """The expression's slots in `zone`."""
        return CronSchedule.parse(self.expr, zone, seconds=self.seconds)
