"""Finds the events in the text of a calendar (ICS) and which of them can matter in a span of time.

The library takes about 0.3 ms to parse an event, so a calendar of many years would take seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

MARGIN = timedelta(days=2)
"""More than time zones can make a day differ."""
UNTOLD = frozenset({"DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "CREATED"})
"""Properties that may change without a change of the event."""

_EDGE = re.compile(r"^(BEGIN|END):VEVENT[ \t]*$\n?", re.IGNORECASE | re.MULTILINE)
_LINE = re.compile(
    r"^(DTSTART|RECURRENCE-ID|RRULE|RDATE|UID|SUMMARY)((?:;[^:\n]*)?):(.*)$", re.IGNORECASE | re.MULTILINE
)
_DAY = re.compile(r"(\d{8})(?:T\d{6}Z?)?[ \t]*\Z")
_UNTIL = re.compile(r"UNTIL=(\d{8})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EventText:
    """An event: its lines, and where they stand in the calendar's text."""

    start: int
    end: int
    lines: str

    def digest(self) -> str:
        """Returns a digest that changes with the event."""
        told = [line for line in self.lines.split("\n") if _name(line) not in UNTOLD]
        return sha256("\n".join(sorted(told)).encode("utf-8", "replace")).hexdigest()[:16]

    def properties(self) -> dict[str, tuple[str, str]]:
        """Returns parameters and value of the first of each property that says when it is, its UID and summary."""
        told: dict[str, tuple[str, str]] = {}
        for found in _LINE.finditer(self.lines):
            name = found[1].upper()
            told.setdefault(name if name != "RRULE" or name not in told else "RDATE", (found[2], found[3].strip()))
        return told


def unfolded(text: str) -> str:
    """Joins folded lines (RFC 5545 section 3.1)."""
    return text.replace("\n ", "").replace("\n\t", "")


def events_in(text: str) -> Iterator[EventText]:
    """Returns the events of an unfolded text, without those that have no end."""
    begun = None
    for edge in _EDGE.finditer(text):
        if edge[1].upper() == "BEGIN":
            begun = edge
        elif begun is not None:
            yield EventText(begun.start(), edge.end(), text[begun.end() : edge.start()])
            begun = None


def without_distant_events(text: str, start: datetime, end: datetime) -> str:
    """Removes the events that certainly do not happen in the span; those of one UID stay or go together."""
    first, last = ((moment + by).strftime("%Y%m%d") for moment, by in ((start, -MARGIN), (end, MARGIN)))
    told = [(event, event.properties()) for event in events_in(text)]
    near = {_uid(each) for _, each in told if not _is_far(each, first, last)}
    kept, place = [], 0
    for event, each in told:
        if _uid(each) not in near:
            kept.append(text[place : event.start])
            place = event.end
    return "".join([*kept, text[place:]])


def _uid(told: dict[str, tuple[str, str]]) -> str:
    return told.get("UID", ("", ""))[1]


def _is_far(told: dict[str, tuple[str, str]], first: str, last: str) -> bool:
    if "RDATE" in told:
        return False
    day = _day(told, "DTSTART")
    if "RECURRENCE-ID" in told:  # it stands for an occurrence of its series, and hides it
        instead = _day(told, "RECURRENCE-ID")
        is_one = "RANGE" not in told["RECURRENCE-ID"][0].upper()
        return is_one and _outside(day, first, last) and _outside(instead, first, last)
    if "RRULE" in told:
        until = _UNTIL.search(told["RRULE"][1])
        return (until is not None and until[1] < first) or (day is not None and day > last)
    return _outside(day, first, last)


def _day(told: dict[str, tuple[str, str]], name: str) -> str | None:
    found = _DAY.match(told.get(name, ("", ""))[1])
    return None if found is None else found[1]


def _outside(day: str | None, first: str, last: str) -> bool:
    return day is not None and not first <= day <= last


def _name(line: str) -> str:
    return re.split("[;:]", line, maxsplit=1)[0].strip().upper()
