"""calendar: fires once before each occurrence, however the calendar changes, and reports changes."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.documents.calendar import read
from scheduler.documents.reader_process import ReaderProcesses
from scheduler.documents.text import Unreadable
from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.net.client import Answer
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.calendar import CalendarConfig
from tests.support.check_resources import check_resources

START = datetime(2030, 1, 2, 8, tzinfo=UTC)
URL = "https://calendar.example/basic.ics"


def ics(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\r\nDTSTAMP:20300101T000000Z\r\n{each}\r\nEND:VEVENT\r\n" for each in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{body}END:VCALENDAR\r\n".encode()


def event(uid: str, start: str = "DTSTART:20300102T090000Z", *more: str) -> str:
    return "\r\n".join([f"UID:{uid}", start, f"SUMMARY:The {uid}", *more])


class Calendar:
    """A scripted calendar, checked throughout a day."""

    def __init__(self, **config: Any) -> None:
        self.says: bytes | Answer = ics()
        self._config = CalendarConfig(url=URL, **config)
        self._cursor: Any = None
        self.asked = 0

    def look(self, minutes: float) -> Any:
        seen = self._config.look_with(
            self._cursor, check_resources(body=self._body, now=lambda: START + timedelta(minutes=minutes))
        )
        self._cursor = json.loads(json.dumps(seen.cursor))
        return seen.data

    def starts(self, *minutes: float) -> list[str]:
        return [each["summary"] for at in minutes for each in (self.look(at) or {"events": []})["events"]]

    def _body(self) -> bytes | Answer:
        self.asked += 1
        return self.says


BERLIN = """BEGIN:VTIMEZONE\r\nTZID:Custom/Mitte\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r
TZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"""


@pytest.mark.parametrize(
    ("document", "starts"),
    [
        (ics(event("a")), ["2030-01-02T09:00:00+00:00"]),
        (ics(event("a", "DTSTART;TZID=Europe/Berlin:20300102T100000")), ["2030-01-02T09:00:00+00:00"]),
        (ics(event("a", "DTSTART;TZID=W. Europe Standard Time:20300102T100000")), ["2030-01-02T09:00:00+00:00"]),
        (ics(event("a", "DTSTART;TZID=Asia/Kathmandu:20300102T144500")), ["2030-01-02T09:00:00+00:00"]),
        (
            ics(event("a", "DTSTART;TZID=Custom/Mitte:20300102T100000")).replace(
                b"BEGIN:VEVENT", BERLIN.encode() + b"BEGIN:VEVENT"
            ),
            ["2030-01-02T09:00:00+00:00"],
        ),
        (ics(event("a", "DTSTART:20300102T180000")), ["2030-01-02T09:00:00+00:00"]),
        (ics(event("a", "DTSTART;VALUE=DATE:20300103")), ["2030-01-02T15:00:00+00:00"]),
        (
            ics(event("a", "DTSTART:20200102T090000Z", "RRULE:FREQ=DAILY")),
            ["2030-01-02T09:00:00+00:00", "2030-01-03T09:00:00+00:00"],
        ),
        (
            ics(event("a", "DTSTART:20200102T090000Z", "RRULE:FREQ=DAILY", "EXDATE:20300102T090000Z")),
            ["2030-01-03T09:00:00+00:00"],
        ),
        (
            ics(
                event("a", "DTSTART:20300102T090000Z", "RRULE:FREQ=DAILY;COUNT=1"),
                event("a", "DTSTART:20300102T113000Z", "RECURRENCE-ID:20300102T090000Z"),
            ),
            ["2030-01-02T11:30:00+00:00"],
        ),
        (ics(event("a", "DTSTART:20300102T090000Z", "STATUS:CANCELLED")), []),
        (ics("SUMMARY:no uid\r\nDTSTART:20300102T090000Z"), ["2030-01-02T09:00:00+00:00"]),
        (ics("UID:no start\r\nSUMMARY:x"), []),
        (ics(event("a")).replace(b"\r\n", b"\n"), ["2030-01-02T09:00:00+00:00"]),
    ],
)
def test_occurrences_are_found_in_all_zones_and_rules(document: bytes, starts: list[str]) -> None:
    told = read(
        document, start=START.isoformat(), end=(START + timedelta(days=1, hours=2)).isoformat(), zone="Asia/Tokyo"
    )
    assert sorted(each["start"] for each in told["occurrences"].values()) == starts


def test_each_occurrence_fires_once_before_its_start_also_when_the_feed_is_reordered() -> None:
    calendar = Calendar(before_minutes=10)
    calendar.says = ics(event("a"), event("b", "DTSTART:20300102T091500Z"))
    assert calendar.starts(0, 49) == []
    calendar.says = ics(event("b", "DTSTART:20300102T091500Z"), event("a"))
    assert calendar.starts(50, 51, 64) == ["The a"]
    assert calendar.starts(65, 80, 200) == ["The b"]


def test_the_calendar_is_requested_at_its_own_pace() -> None:
    calendar = Calendar(refresh_min=30)
    for minute in range(61):
        calendar.look(minute)
    assert calendar.asked == 3


def test_an_event_fires_though_the_calendar_is_unavailable_or_nobody_looked() -> None:
    calendar = Calendar(before_minutes=10)
    calendar.says = ics(event("a"), event("b", "DTSTART:20300102T120000Z"))
    calendar.look(0)
    calendar.says = Answer(503, {}, b"", truncated=False, url=URL)
    with pytest.raises(ReveilleError, match="HTTP 503") as failed:
        calendar.look(46)
    assert failed.value.retry_after == 240  # type: ignore[attr-defined]
    assert calendar.starts(50) == ["The a"]
    calendar.says = ics()
    assert calendar.starts(300) == ["The b"]


def test_changes_fire_only_if_configured() -> None:
    calendar = Calendar(on_change=True)
    calendar.says = ics(event("a", "DTSTART:20300105T090000Z"), event("old", "DTSTART:20290101T090000Z"))
    assert calendar.look(0) is None
    calendar.says = ics(event("a", "DTSTART:20300105T090000Z")).replace(b"20300101T000000Z", b"20300102T000000Z")
    assert calendar.look(15) is None
    calendar.says = ics(event("a", "DTSTART:20300105T093000Z"), event("n", "DTSTART:20300106T090000Z"))
    assert calendar.look(30) == {"changes": {"new": ["The n"], "changed": ["The a"]}}
    calendar.says = ics(event("n", "DTSTART:20300106T090000Z"))
    assert calendar.look(45) == {"changes": {"removed": ["The a"]}}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"<html>Sign in</html>", "a web page, not a calendar"),
        (b"", "not a calendar"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:x", "broken"),
        (b"BEGIN:VCALENDAR\r\nno colon here\r\nEND:VCALENDAR", "broken"),
        (ics(event("a", "DTSTART:19700101T000000Z", "RRULE:FREQ=SECONDLY")), "processor time|more than 1000"),
        (b"\x00\x01", "not a calendar"),
    ],
)
def test_what_is_no_calendar_or_has_no_end_is_a_failure(
    document: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.documents.reader_process.PROCESSOR_SECONDS", 1.0)
    apart = ReaderProcesses()
    try:
        with pytest.raises(Unreadable, match=why):
            apart.read("calendar", document, start=START.isoformat(), end=(START + timedelta(days=1)).isoformat())
    finally:
        apart.close()


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": URL, "refresh_min": 4}, "refresh_min"),
        ({"url": URL, "before_minutes": -1}, "before_minutes"),
        ({"url": URL, "timezone": "Mars/Base"}, "timezone"),
    ],
)
def test_a_wrong_field_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(CalendarConfig, config, CheckContext(START))
    assert refused.value.field == f"config.{field}"


LINES = ["DTSTART:20300102T090000Z", "DTSTART;TZID=No/Where:20300102T090000", "RRULE:FREQ=DAILY;COUNT=3", "UID:1"]
LINES += [
    "EXDATE:x",
    "DTSTART;VALUE=DATE:20300102",
    "RRULE:",
    "DURATION:PT",
    "BEGIN:VALARM",
    "END:VALARM",
    "SUMMARY:é",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=6))
def test_whatever_an_event_holds_it_is_read_or_refused(lines: list[str]) -> None:
    with suppress(Unreadable):
        read(ics("\r\n".join(lines)), start=START.isoformat(), end=(START + timedelta(days=1)).isoformat())[
            "occurrences"
        ].items()


def test_what_is_far_away_is_left_out_and_what_moves_into_the_span_is_not() -> None:
    told = read(
        ics(
            event("far", "DTSTART:20200102T090000Z"),
            event("over", "DTSTART:20200102T090000Z", "RRULE:FREQ=DAILY;UNTIL=20210101T000000Z"),
            event("daily", "DTSTART:20200102T090000Z", "RRULE:FREQ=DAILY"),
            event("daily", "DTSTART:20310102T090000Z", "RECURRENCE-ID:20300102T090000Z"),
            event("moved", "DTSTART:20200102T100000Z", "RRULE:FREQ=DAILY;COUNT=3"),
            event("moved", "DTSTART:20300102T100000Z", "RECURRENCE-ID:20200103T100000Z"),
            event("listed", "DTSTART:20200102T110000Z", "RDATE:20300102T110000Z"),
        ),
        start=START.isoformat(),
        end=(START + timedelta(hours=12)).isoformat(),
    )
    assert sorted(told["occurrences"]) == ["listed|2030-01-02T11:00:00+00:00", "moved|2030-01-02T10:00:00+00:00"]
    assert told["events"] == {}
