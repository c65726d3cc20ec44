"""`only_between`: the hours of the day, in the trigger's zone, in which it may fire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from scheduler.domain.schedule import NoteKind

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))", re.ASCII)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` (inclusive) to `end` (exclusive) each day; past midnight when `end` is not after `start`."""

    start: time
    end: time
    kind: ClassVar[NoteKind] = "outside"

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Parses `"09:00-18:00"`, `"22:00-06:00"`, `"18:00-24:00"`. Raises ValueError."""
        match = _SPAN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:40]!r} is not of the form HH:MM-HH:MM, such as 09:00-18:00")
        hour, minute, end_hour, end_minute = (int(part) for part in match.groups() if part is not None)
        start, end = time(hour, minute), time(end_hour % 24, end_minute)
        if start == end:
            raise ValueError("it begins where it ends; leave it out for the whole day")
        return cls(start, end)

    def allow(self, local: datetime) -> bool:
        """Whether a local time is within the hours."""
        moment = local.time()
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def reopening(self, local: datetime) -> datetime:
        """Returns when they begin after `local`."""
        opening = datetime.combine(local.date(), self.start)
        return opening if opening > local else opening + _DAY

    def closing(self, local: datetime) -> datetime:
        """Returns when they ended before `local`."""
        closing = datetime.combine(local.date(), self.end)
        return closing if closing <= local else closing - _DAY

    def reason(self, local: datetime) -> str:
        """Returns why nothing fires at `local`."""
        return f"Times outside {self.start:%H:%M}-{self.end:%H:%M} are passed over."


def _is_span(text: str) -> str:
    Hours.parse(text)
    return text


OnlyBetween = Annotated[
    str, AfterValidator(_is_span), Field(description="HH:MM-HH:MM; over midnight when it ends earlier.")
]
