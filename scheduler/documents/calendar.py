"""Reads a calendar (ICS, RFC 5545): its occurrences in a span of time and a digest of each event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar, Parameters
from icalendar.prop import vBroken, vDDDTypes, vText

from scheduler.documents.calendar_text import events_in, unfolded, without_distant_events
from scheduler.documents.text import Unreadable, cut, text_of

MAX_OCCURRENCES = 1_000
MAX_EVENTS = 20_000
TEXT_CHARS, NAME_CHARS = 1_000, 300


def read(
    body: bytes,
    *,
    content_type: str | None = None,
    start: str,
    end: str,
    zone: str = "UTC",
    to_compare: bool = False,
) -> dict[str, Any]:
    """Returns the occurrences that start in the span, and, `to_compare`, digest, title and start of each event.

    Times without a zone, and whole days, are in `zone`. Raises Unreadable.
    """
    text = unfolded(text_of(body, content_type))
    local = ZoneInfo(zone)
    span = datetime.fromisoformat(start), datetime.fromisoformat(end)
    calendar = _parsed(without_distant_events(text, *span))
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
        "events": dict(_digests(text, local)) if to_compare else {},
    }


def _parsed(text: str) -> Calendar:
    if "BEGIN:VCALENDAR" not in text[:10_000].upper():
        what = "a web page" if "<html" in text[:10_000].lower() else "something else"
        raise Unreadable(f"The response is {what}, not a calendar (ICS).")
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


def _digests(text: str, local: ZoneInfo) -> Iterator[tuple[str, list[str]]]:
    events = list(events_in(text))
    if len(events) > MAX_EVENTS:
        raise Unreadable(f"The calendar has more than {MAX_EVENTS} events, too many to compare.")
    for event in events:
        told = event.properties()
        begins = None if "RRULE" in told or "RDATE" in told else _begins(*told.get("DTSTART", ("", "")), local)
        title = str(vText.from_ical(told.get("SUMMARY", ("", ""))[1]))
        uid = told.get("UID", ("", ""))[1] or f"{title} {told.get('DTSTART', ('', ''))[1]}"
        key = f"{uid}|{told.get('RECURRENCE-ID', ('', ''))[1]}"
        yield key, [event.digest(), cut(title, 100), "" if begins is None else begins.isoformat()]


def _begins(parameters: str, value: str, local: ZoneInfo) -> datetime | None:
    try:
        zone = Parameters.from_ical(parameters.lstrip(";")).get("TZID") if parameters else None  # type: ignore[no-untyped-call]
        return _utc(vDDDTypes.from_ical(value, zone), local)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001  # the library raises whatever a broken property makes of it
        return None


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
    return _utc(getattr(stamp, "dt", None), local)


def _utc(value: Any, local: ZoneInfo) -> datetime | None:
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
