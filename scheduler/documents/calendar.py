"""Reads a calendar (ICS, RFC 5545): its occurrences in a span of time and a digest of each event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar
from icalendar.prop import vBroken

from scheduler.documents.errors import Unreadable
from scheduler.documents.text import cut, text_of

MAX_OCCURRENCES = 1_000
MAX_EVENTS = 20_000
TEXT_CHARS, NAME_CHARS = 1_000, 300
UNTOLD = frozenset({"DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "CREATED"})
"""Properties that may change without a change of the event."""


def read(
    body: bytes, *, content_type: str | None = None, start: str, end: str, zone: str = "UTC"
) -> dict[str, Any]:
    """Returns the occurrences that start in the span, and the digest, title and start of each event.

    Times without a zone, and whole days, are in `zone`. Raises Unreadable.
    """
    calendar = _parsed(text_of(body, content_type))
    local = ZoneInfo(zone)
    span = datetime.fromisoformat(start), datetime.fromisoformat(end)
    found: dict[str, dict[str, str]] = {}
    for event in _between(calendar, *span):
        begins = _moment(event.get("DTSTART"), local)
        if begins is None or not span[0] <= begins <= span[1] or _text(event, "STATUS").upper() == "CANCELLED":
            continue
        found[f"{_uid(event)}|{begins.isoformat()}"] = _shown(event, begins, local)
        if len(found) > MAX_OCCURRENCES:
            raise Unreadable(f"The calendar has more than {MAX_OCCURRENCES} events within a few days.")
    return {
        "name": cut(_text(calendar, "X-WR-CALNAME"), NAME_CHARS),
        "occurrences": found,
        "events": dict(_digests(calendar, local)),
    }


def _parsed(text: str) -> Calendar:
    if "BEGIN:VCALENDAR" not in text[:10_000].upper():
        what = "a web page" if "<html" in text[:10_000].lower() else "something else"
        raise Unreadable(f"The answer is {what}, not a calendar (ICS).")
    try:
        calendar = Calendar.from_ical(text)
    except (ValueError, IndexError, KeyError) as error:
        raise Unreadable(f"The calendar is broken: {str(error)[:200]}.") from None
    for each in calendar.walk():
        _drop_broken(each)
    return calendar


def _drop_broken(component: Any) -> None:
    """Removes the properties that cannot be read, so that one such event does not hide the others."""
    for name, value in list(component.items()):
        values = value if isinstance(value, list) else [value]
        good = [each for each in values if not isinstance(each, vBroken)]
        if not good:
            del component[name]
        elif len(good) < len(values):
            component[name] = good


def _between(calendar: Calendar, start: datetime, end: datetime) -> list[Any]:
    """Returns the occurrences in the span. Skips events without a valid start."""
    calendar.subcomponents = [
        each for each in calendar.subcomponents if each.name != "VEVENT" or hasattr(each.get("DTSTART"), "dt")
    ]
    try:
        return list(recurring_ical_events.of(calendar, skip_bad_series=True).between(start, end))
    except Exception as error:  # noqa: BLE001  # the libraries raise whatever a broken event makes of them
        raise Unreadable(f"The calendar is broken: {type(error).__name__}: {str(error)[:200]}.") from None


def _digests(calendar: Calendar, local: ZoneInfo) -> Iterator[tuple[str, list[str]]]:
    events = calendar.walk("VEVENT")
    if len(events) > MAX_EVENTS:
        raise Unreadable(f"The calendar has more than {MAX_EVENTS} events.")
    for event in events:
        told = [(name, str(value)) for name, value in _lines(event) if name not in UNTOLD]
        digest = sha256(repr(sorted(told)).encode("utf-8", "replace")).hexdigest()[:16]
        begins = _moment(event.get("DTSTART"), local)
        recurs = "RRULE" in event or "RDATE" in event
        key = f"{_uid(event)}|{_text(event, 'RECURRENCE-ID')}"
        yield (
            key,
            [digest, cut(_text(event, "SUMMARY"), 100), "" if recurs or begins is None else begins.isoformat()],
        )


def _lines(event: Any) -> Iterator[tuple[str, str]]:
    for name, value in event.property_items(recursive=False, sorted=False):
        to_ical = getattr(value, "to_ical", None)
        yield name, repr(to_ical() if to_ical else value)


def _shown(event: Any, begins: datetime, local: ZoneInfo) -> dict[str, str]:
    ends = _moment(event.get("DTEND"), local)
    told = {
        "summary": cut(_text(event, "SUMMARY"), NAME_CHARS),
        "start": begins.isoformat(),
        "end": "" if ends is None else ends.isoformat(),
        "location": cut(_text(event, "LOCATION"), NAME_CHARS),
        "description": cut(_text(event, "DESCRIPTION"), TEXT_CHARS),
        "url": cut(_text(event, "URL"), NAME_CHARS),
    }
    return {name: value for name, value in told.items() if value}


def _moment(stamp: Any, local: ZoneInfo) -> datetime | None:
    value = getattr(stamp, "dt", None)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=local)).astimezone(UTC)
    return datetime.combine(value, time(), local).astimezone(UTC) if isinstance(value, date) else None


def _uid(event: Any) -> str:
    return _text(event, "UID") or f"{_text(event, 'SUMMARY')} {_text(event, 'DTSTART')}"


def _text(holder: Any, name: str) -> str:
    value = holder.get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    stamp = getattr(value, "dt", None)
    return "" if value is None else str(value if stamp is None else stamp)
