"""Periods of whole hours or days in a zone, over which figures are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from scheduler.domain.errors import InvalidField
from scheduler.domain.local_time import zone_info

MOST_STEPS = 400
"""The most hours or days in one answer."""
BY_HOUR_UP_TO = timedelta(days=3)
DEFAULT = timedelta(days=1)


class Step(StrEnum):
    """The length of what figures are summed over."""

    HOUR = "hour"
    DAY = "day"


LENGTHS: Mapping[Step, timedelta] = MappingProxyType({Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)})


@dataclass(frozen=True, slots=True)
class Period:
    """From `since`, which begins an hour or day of `zone`, up to `until`, exclusive."""

    since: datetime
    until: datetime
    step: Step
    zone: str


def period(since: datetime | None, until: datetime | None, step: Step | None, zone: str, now: datetime) -> Period:
    """Returns the period from the hour or day that `since` lies in: by default a day before `until`, itself by
    default now.

    Without a step, short periods are by hour, longer ones by day. Raises InvalidField.
    """
    until = until or now
    since = until - DEFAULT if since is None else since
    if since >= until:
        raise InvalidField("must be before to, which is now unless given", field="from")
    step = step or (Step.HOUR if until - since <= BY_HOUR_UP_TO else Step.DAY)
    if (until - since) / LENGTHS[step] > MOST_STEPS:
        raise InvalidField(f"must be at most {MOST_STEPS} {step}s before to", field="from")
    return Period(_start_of(since, step, zone), until, step, zone)


def month_around(moment: datetime, zone: str) -> tuple[datetime, datetime]:
    """Returns when the month of `moment` began in `zone`, and when it will end."""
    first = moment.astimezone(zone_info(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    following = (first.replace(tzinfo=None) + timedelta(days=32)).replace(day=1, tzinfo=first.tzinfo)
    return first, following


def _start_of(moment: datetime, step: Step, zone: str) -> datetime:
    local = moment.astimezone(zone_info(zone)).replace(minute=0, second=0, microsecond=0)
    return (local if step is Step.HOUR else local.replace(hour=0, fold=0)).astimezone(UTC)
