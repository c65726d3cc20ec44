"""Slots of cron schedules across clock changes, their notes, and the cache of recent answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from scheduler.triggers.cron import CronSchedule
from scheduler.triggers.cron_times import WallTimes

NEW_YORK = "America/New_York"  # 8 March 2026 02:00 → 03:00, 1 November 2026 02:00 → 01:00
LORD_HOWE = "Australia/Lord_Howe"  # 4 October 2026 02:00 → 02:30, 5 April 2026 02:00 → 01:30
FORWARD, BACK = "2026-03-08", "2026-11-01"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def slots(expr: str, zone: str, start: str, count: int, seconds: Literal["first"] | None = None) -> list[str]:
    """Returns the next slots in local time, as `MM-DDTHH:MM:SS+offset`."""
    schedule = CronSchedule.parse(expr, zone, seconds=seconds)
    found: list[str] = []
    at = schedule.next_after(moment(start))
    while at is not None and len(found) < count:
        assert at.tzinfo is UTC
        found.append(at.astimezone(ZoneInfo(zone)).isoformat()[5:])
        at = schedule.next_after(at)
    return found


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 2 * * *", ["03-08T03:00:00-04:00", "03-09T02:30:00-04:00"]),  # right after the gap
        ("0,30 2 * * *", ["03-08T03:00:00-04:00", "03-09T02:00:00-04:00"]),  # once, not twice
        ("0 2,3 * * *", ["03-08T03:00:00-04:00", "03-09T02:00:00-04:00"]),  # merged with 03:00
        ("30 2 8 3 *", ["03-08T03:00:00-04:00", "03-08T02:30:00-05:00"]),  # next year it exists
        ("30 0-23/2 * * *", ["03-08T03:00:00-04:00", "03-08T04:30:00-04:00"]),  # no star: times of day
        ("0 */2 * * *", ["03-08T04:00:00-04:00", "03-08T06:00:00-04:00"]),  # real time: nothing made up
        ("*/30 2 * * *", ["03-09T02:00:00-04:00", "03-09T02:30:00-04:00"]),
        ("*/30 * * * *", ["03-08T03:00:00-04:00", "03-08T03:30:00-04:00"]),
    ],
)
def test_when_the_clocks_go_forward(expr: str, expected: list[str]) -> None:
    assert slots(expr, NEW_YORK, f"{FORWARD}T01:59:00-05:00", 2) == expected


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 1 * * *", ["11-01T01:30:00-04:00", "11-02T01:30:00-05:00"]),  # the first pass only
        ("0 1,2 * * *", ["11-01T01:00:00-04:00", "11-01T02:00:00-05:00"]),
        ("15 0-23 * * *", ["11-01T01:15:00-04:00", "11-01T02:15:00-05:00"]),
        ("30 * * * *", ["11-01T01:30:00-04:00", "11-01T01:30:00-05:00"]),  # real time: both
        ("*/30 1 * * *", ["11-01T01:00:00-04:00", "11-01T01:30:00-04:00"]),
    ],
)
def test_when_the_clocks_go_back(expr: str, expected: list[str]) -> None:
    assert slots(expr, NEW_YORK, f"{BACK}T00:59:00-04:00", 2) == expected


def test_from_within_the_second_pass_a_time_of_the_day_is_over() -> None:
    assert slots("50 1 * * *", NEW_YORK, f"{BACK}T01:10:00-05:00", 1) == ["11-02T01:50:00-05:00"]
    schedule = CronSchedule.parse("50 1 * * *", NEW_YORK)
    assert schedule.last_until(moment(f"{BACK}T01:10:00-05:00")) == moment(f"{BACK}T01:50:00-04:00")


def test_from_the_first_pass_the_second_one_starts_again() -> None:
    assert slots("*/30 * * * *", NEW_YORK, f"{BACK}T01:45:00-04:00", 2) == [
        "11-01T01:00:00-05:00",
        "11-01T01:30:00-05:00",
    ]
    schedule = CronSchedule.parse("45 */1 * * *", NEW_YORK)
    assert schedule.last_until(moment(f"{BACK}T01:30:00-05:00")) == moment(f"{BACK}T01:45:00-04:00")


def test_half_an_hour_of_summer_time() -> None:
    assert slots("15 2 * * *", LORD_HOWE, "2026-10-03T12:00:00Z", 1) == ["10-04T02:30:00+11:00"]
    assert slots("45 1 * * *", LORD_HOWE, "2026-04-04T12:00:00Z", 2) == [
        "04-05T01:45:00+11:00",
        "04-06T01:45:00+10:30",
    ]
    assert slots("45 * * * *", LORD_HOWE, "2026-04-04T14:00:00Z", 2) == [
        "04-05T01:45:00+11:00",
        "04-05T01:45:00+10:30",
    ]


def test_a_gap_at_midnight_counts_to_the_day_that_it_opens() -> None:
    # Santiago, Sunday 6 September 2026: 00:00 → 01:00.
    assert slots("30 0 * * sun", "America/Santiago", "2026-09-05T12:00:00Z", 1) == ["09-06T01:00:00-03:00"]


def test_a_day_left_out_of_the_calendar_fires_once_after_it() -> None:
    # Apia had no 30 December 2011.
    assert slots("0 9,17 30 * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 2) == [
        "12-31T00:00:00+14:00",
        "01-30T09:00:00+14:00",
    ]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("30 30 2 * * *", ["03-08T03:00:00-04:00", "03-09T02:30:30-04:00"]),  # one second: a time of day
        ("0,30 30 2 * * *", ["03-09T02:30:00-04:00", "03-09T02:30:30-04:00"]),  # several: real time
    ],
)
def test_seconds_first(expr: str, expected: list[str]) -> None:
    assert slots(expr, NEW_YORK, f"{FORWARD}T01:59:00-05:00", 2, "first") == expected


def test_next_is_exclusive_and_last_inclusive_to_the_microsecond() -> None:
    schedule = CronSchedule.parse("0 9 * * *", "UTC")
    nine, tick = moment("2026-01-01T09:00:00Z"), timedelta(microseconds=1)
    assert schedule.next_after(nine - tick) == nine
    assert schedule.next_after(nine) == nine + timedelta(days=1)
    assert schedule.last_until(nine) == nine
    assert schedule.last_until(nine - tick) == nine - timedelta(days=1)


def test_without_a_zone_times_are_naive() -> None:
    schedule = CronSchedule.parse("30 2 * * *", None)
    assert schedule.next_after(moment("2026-03-08T02:29:59.5")) == moment("2026-03-08T02:30:00")
    assert schedule.last_until(moment("2026-03-08T02:30:00.5")) == moment("2026-03-08T02:30:00")
    assert schedule.notes(moment("2026-03-07T00:00:00"), 5) == []


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("0 0 0 1-31 * fri", ["2026-05-02T00:00:00", "2026-05-03T00:00:00"]),  # no star: either suffices
        ("0 0 0 2 * 0-6", ["2026-05-02T00:00:00", "2026-05-03T00:00:00"]),
        ("0 0 0 2 * *", ["2026-05-02T00:00:00", "2026-06-02T00:00:00"]),
        ("59 59 23 LW * *", ["2026-05-29T23:59:59", "2026-06-30T23:59:59"]),
        ("59 59 23 31 * 7", ["2026-05-03T23:59:59", "2026-05-10T23:59:59"]),
    ],
)
def test_days_of_may_2026_to_the_second(expr: str, expected: list[str]) -> None:
    schedule = CronSchedule.parse(expr, None, seconds="first")
    first, second = map(moment, expected)
    assert schedule.next_after(moment("2026-05-01T00:00:00")) == first
    assert schedule.next_after(first) == second
    assert schedule.last_until(second) == second
    assert schedule.last_until(second - timedelta(seconds=1)) == first


def test_a_moment_of_the_wrong_sort_is_an_error_not_a_wrong_answer() -> None:
    with pytest.raises(ValueError, match="takes a naive moment"):
        CronSchedule.parse("0 9 * * *", None).next_after(moment("2026-01-01T00:00:00Z"))
    with pytest.raises(ValueError, match="takes a moment with a time zone"):
        CronSchedule.parse("0 9 * * *", "UTC").last_until(moment("2026-01-01T00:00:00"))


@pytest.mark.parametrize(
    ("first", "last", "limit", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 100, (5, True)),  # both ends belong
        ("2026-01-01T00:00:01Z", "2026-01-01T00:59:59Z", 100, (3, True)),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 5, (5, True)),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 4, (4, False)),
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 100, (100, False)),
        ("2026-01-01T00:01:00Z", "2026-01-01T00:14:00Z", 100, (0, True)),
        ("2026-01-01T01:00:00Z", "2026-01-01T00:00:00Z", 100, (0, True)),
    ],
)
def test_counting_stops_at_the_limit_and_says_so(
    first: str, last: str, limit: int, expected: tuple[int, bool]
) -> None:
    schedule = CronSchedule.parse("*/15 * * * *", "Europe/Berlin")
    assert schedule.count_between(moment(first), moment(last), limit) == expected


def test_a_moved_slot_is_noted() -> None:
    (note,) = CronSchedule.parse("30 2 * * *", NEW_YORK).notes(moment(f"{FORWARD}T00:00:00-05:00"), 5)
    assert (note.kind, note.at) == ("moved", moment(f"{FORWARD}T03:00:00-04:00"))
    assert note.text == (
        "2026-03-08 02:30 is left out: clocks in America/New_York go forward"
        " from 2026-03-08 02:00 to 2026-03-08 03:00. It fires at 2026-03-08 03:00."
    )


def test_merged_slots_are_noted_beside_the_move() -> None:
    notes = CronSchedule.parse("0-45/15 2,3 * * *", NEW_YORK).notes(moment(f"{FORWARD}T00:00:00-05:00"), 3)
    assert [(note.kind, note.at) for note in notes] == [
        ("moved", moment(f"{FORWARD}T03:00:00-04:00")),
        ("merged", moment(f"{FORWARD}T03:00:00-04:00")),
    ]
    assert "2026-03-08 02:00, 2026-03-08 02:15, 2026-03-08 02:30 and 2 more fire as one" in notes[1].text


def test_a_repeated_time_is_noted_with_how_often_it_fires() -> None:
    start = moment(f"{BACK}T00:00:00-04:00")
    (once,) = CronSchedule.parse("30 1 * * *", NEW_YORK).notes(start, 3)
    assert (once.kind, once.at) == ("repeated", moment(f"{BACK}T01:30:00-04:00"))
    assert once.text.endswith("It fires once, the first time.")

    twice = CronSchedule.parse("30 * * * *", NEW_YORK).notes(start, 4)
    assert [(note.kind, note.at) for note in twice] == [
        ("repeated", moment(f"{BACK}T01:30:00-04:00")),
        ("repeated", moment(f"{BACK}T01:30:00-05:00")),
    ]
    assert [note.text.rpartition(";")[2] for note in twice] == [" this is the first.", " this is the second."]


def test_only_the_slots_asked_for_are_noted() -> None:
    schedule = CronSchedule.parse("30 2 * * *", NEW_YORK)
    assert schedule.notes(moment("2026-03-06T00:00:00Z"), 2) == []
    assert schedule.notes(moment(f"{FORWARD}T00:00:00-05:00"), 0) == []
    assert schedule.notes(moment("2026-06-01T00:00:00Z"), 20) == []


def test_triggers_that_share_a_slot_share_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = CronSchedule.parse("13 4 * * *", NEW_YORK)
    at = moment("2031-05-06T07:08:09Z")
    first = schedule.next_after(at), schedule.last_until(at)

    def searched(*_: object) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(WallTimes, "after", searched)
    monkeypatch.setattr(WallTimes, "until", searched)
    again = CronSchedule.parse("13 4 * * *", NEW_YORK)
    assert (again.next_after(at), again.last_until(at)) == first


def test_threads_share_a_schedule() -> None:
    times = CronSchedule.parse("*/7 * * * *", "Europe/Berlin")
    starts = [moment("2026-01-01T00:00:00Z") + timedelta(minutes=61 * n) for n in range(400)]
    expected = [CronSchedule.parse("0-56/7 * * * *", "Europe/Berlin").next_after(each) for each in starts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(times.next_after, starts)) == expected
