"""Finds the days on which clock changes move, drop or double a trigger's slots."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from scheduler.domain.schedule import Note, Schedule, notes_of
from scheduler.triggers.zones import load_zone

AHEAD = timedelta(days=731)
AROUND = timedelta(hours=26)
MOST_SLOTS = 300
"""The most slots that are looked at around one clock change."""
KINDS = frozenset({"moved", "merged", "repeated"})
DAY = timedelta(days=1)


def clock_changes(schedule: Schedule, zone: str, now: datetime) -> list[Note]:
    """Returns the effects of clock changes on a schedule in the two years from `now`."""
    found: dict[tuple[datetime, str], Note] = {}
    for change in changes_of_zone(zone, now):
        for note in notes_of(schedule, change - AROUND, _count(schedule, change)):
            if note.kind in KINDS and now <= note.at <= change + AROUND:
                found[note.at, note.text] = note
    return sorted(found.values(), key=lambda note: note.at)


def _count(schedule: Schedule, change: datetime) -> int:
    count, _ = schedule.count_between(change - AROUND, change + AROUND, MOST_SLOTS)
    return min(count, MOST_SLOTS)


@lru_cache(maxsize=256)
def changes_of_zone(zone: str, now: datetime) -> tuple[datetime, ...]:
    """Returns when a zone's clocks change in the two years from `now`, to the day."""
    return tuple(_changes(zone, now.replace(hour=0, minute=0, second=0, microsecond=0)))


def _changes(zone: str, start: datetime) -> Iterator[datetime]:
    local = load_zone(zone)
    day = start.astimezone(UTC)
    offset = day.astimezone(local).utcoffset()
    while day < start + AHEAD:
        day += DAY
        following = day.astimezone(local).utcoffset()
        if following != offset:
            yield day - DAY / 2
        offset = following
