"""Time zones by their IANA names, and their clock changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from scheduler.domain.errors import InvalidField

# Names that depend on the machine or mean "not set up".
_NOT_PORTABLE = {"localtime", "posixrules", "Factory"}
_SECOND = timedelta(seconds=1)


def load_zone(name: str) -> ZoneInfo:
    """Returns the zone of that name; raises InvalidField (`timezone`) with similar names for an unknown one."""
    # Asking the list first, not the file system, makes letter case work the same on every platform.
    if name not in _known_zones():
        raise InvalidField(f"time zone '{name[:80]}' is not known; {_nearest(name[:80])}", field="timezone")
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The clocks of a zone go from `before` to `after`, both local and naive, at the instant `at` (UTC).

    Forward, times from `before` up to `after` do not exist; back, those from `after` up to `before` occur twice.
    """

    at: datetime
    before: datetime
    after: datetime

    @property
    def is_forward(self) -> bool:
        """Whether the change leaves a gap; otherwise it repeats times."""
        return self.after > self.before


def clock_change_at(zone: ZoneInfo, local: datetime) -> ClockChange | None:
    """Returns the change that makes the naive `local` time missing or ambiguous; None for a normal time.

    The resolution is one second. Uses PEP 495: fold 0 takes the offset before the change, fold 1 the one after.
    """
    old = _offset(zone, local, fold=0)
    new = _offset(zone, local, fold=1)
    if old == new:
        return None
    early = (local - max(old, new)).replace(tzinfo=UTC)
    span = abs(new - old) // _SECOND
    low, high = 0, span
    while high - low > 1:
        middle = (low + high) // 2
        changed = (early + middle * _SECOND).astimezone(zone).utcoffset() == new
        low, high = (low, middle) if changed else (middle, high)
    at = early + high * _SECOND
    instant = at.replace(tzinfo=None)
    return ClockChange(at, instant + old, instant + new)


def instant_of(zone: ZoneInfo, local: datetime, *, fold: int) -> datetime:
    """Returns the UTC instant of an existing naive `local` time; `fold` 1 is the second of two."""
    return (local - _offset(zone, local, fold=fold)).replace(tzinfo=UTC)


def _offset(zone: ZoneInfo, local: datetime, *, fold: int) -> timedelta:
    offset = local.replace(tzinfo=zone, fold=fold).utcoffset()
    return offset if offset is not None else timedelta(0)


def _nearest(name: str) -> str:
    by_spelling = {zone.lower(): zone for zone in sorted(_known_zones())}
    by_city = {zone.lower().rpartition("/")[2]: zone for zone in sorted(_known_zones())}
    spellings = by_city | by_spelling
    near = dict.fromkeys(spellings[each] for each in get_close_matches(name.lower(), spellings, n=3))
    return f"did you mean {', '.join(near)}?" if near else "use an IANA name such as Europe/Berlin."


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_PORTABLE)
