"""A preview shows when a trigger would fire, in its local time, and explains unusual times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.clock import Clock
from scheduler.domain.errors import InvalidField
from scheduler.triggers.preview import MAX_COUNT, Preview, preview, preview_line

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
NAIVE = datetime.fromisoformat("2026-01-01")


class StoppedClock:
    """A clock that always shows the same moment."""

    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0.0


CLOCK: Clock = StoppedClock()


def of(kind: str, config: dict[str, Any], **options: Any) -> Preview:
    return preview(kind, config, **{"zone": None, "after": NOON, "count": 2, "naive_ok": False, **options})


def test_times_are_local_to_the_zone_and_after_is_exclusive() -> None:
    found = of("cron", {"expr": "0 13 * * *"}, zone="Europe/Berlin")
    assert found.fire_times == ["2026-03-29T13:00:00+02:00", "2026-03-30T13:00:00+02:00"]


def test_the_zone_of_the_config_wins() -> None:
    found = of("cron", {"expr": "0 9 * * *", "timezone": "Asia/Tokyo"}, zone="Europe/Berlin", count=1)
    assert found.fire_times == ["2026-03-29T09:00:00+09:00"]


def test_a_time_that_the_clocks_leap_over_is_noted_where_it_fires_instead() -> None:
    found = of("cron", {"expr": "30 2 * * *"}, zone="Europe/Berlin")
    assert found.fire_times == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    assert [(note["at"], note["kind"]) for note in found.notes] == [("2026-03-29T03:00:00+02:00", "moved")]
    assert "02:30" in found.notes[0]["text"]


def test_without_a_zone_times_are_utc_or_naive_where_that_is_wanted() -> None:
    config = {"expr": "0 0 * * *"}
    naive = NOON.replace(tzinfo=None)
    assert of("cron", config, count=1).fire_times == ["2026-03-29T00:00:00+00:00"]
    assert of("cron", config, count=1, after=naive).fire_times == ["2026-03-29T00:00:00+00:00"]
    assert of("cron", config, count=1, after=naive, naive_ok=True).fire_times == ["2026-03-29T00:00:00"]
    assert of("cron", config, count=1, naive_ok=True).fire_times == ["2026-03-29T00:00:00+00:00"]


def test_a_naive_after_is_local_time_where_there_is_a_zone() -> None:
    found = of("cron", {"expr": "0 0 * * *"}, zone="Asia/Tokyo", after=NAIVE, count=1)
    assert found.fire_times == ["2026-01-02T00:00:00+09:00"]


def test_an_interval_counts_from_after_or_from_its_anchor() -> None:
    assert of("interval", {"minutes": 20}).fire_times == ["2026-03-28T12:20:00+00:00", "2026-03-28T12:40:00+00:00"]
    anchored = of("interval", {"minutes": 20}, anchor=NOON - timedelta(minutes=65))
    assert anchored.fire_times == ["2026-03-28T12:15:00+00:00", "2026-03-28T12:35:00+00:00"]


def test_a_once_has_one_time_or_none_and_its_past_is_no_error() -> None:
    assert of("once", {"at": "2026-03-28T14:00:00+01:00"}).fire_times == ["2026-03-28T13:00:00+00:00"]
    assert of("once", {"at": "2026-03-28"}).fire_times == []


def test_a_kind_without_a_schedule_has_no_times() -> None:
    assert of("webhook", {}) == Preview([], [])


def test_times_end_with_the_calendar() -> None:
    end = datetime(9999, 12, 31, 23, 50, tzinfo=UTC)
    assert of("interval", {"minutes": 7}, after=end).fire_times == ["9999-12-31T23:57:00+00:00"]


@pytest.mark.parametrize(
    ("kind", "config", "options", "field"),
    [
        ("cron", {"expr": "61 * * * *"}, {}, "config.expr"),
        ("cron", {"expr": "* * * * *", "timezone": "Mars/Olympus"}, {}, "config.timezone"),
        ("cron", {"expr": "* * * * *"}, {"zone": "Mars/Olympus"}, "timezone"),
        ("interval", {"seconds": 0}, {}, "config.seconds"),
        ("interval", {"hours": 1}, {}, "config.hours"),
        ("alarm", {}, {}, "type"),
        ("once", {"at": "tomorrow"}, {}, "config.at"),
        ("interval", {}, {"count": 0}, "count"),
        ("interval", {}, {"count": MAX_COUNT + 1}, "count"),
        ("interval", {}, {"zone": "Asia/Tokyo", "after": datetime.fromisoformat("0001-01-01")}, "after"),
    ],
)
def test_what_cannot_be_previewed_is_refused_by_its_field(
    kind: str, config: dict[str, Any], options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        of(kind, config, **options)
    assert caught.value.field == field


def test_a_line_of_the_tool_is_answered_as_a_line() -> None:
    line = {"type": "cron", "config": {"expr": "0 0 * * *"}, "timezone": None, "after": "2026-01-01", "count": 1}
    assert preview_line(line, CLOCK) == {"fire_times": ["2026-01-02T00:00:00"], "notes": []}


def test_a_line_without_after_and_count_gives_the_next_five() -> None:
    times = preview_line({"type": "interval", "config": {"minutes": 1}}, CLOCK)["fire_times"]
    assert times[0] == "2026-03-28T12:01:00+00:00"
    assert len(times) == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": None}, "type"),
        ({"type": 5}, "type"),
        ({"config": "* * * * *"}, "config"),
        ({"count": True}, "count"),
        ({"count": "3"}, "count"),
        ({"timezone": 1}, "timezone"),
        ({"after": "soon"}, "after"),
        ({"after": 5}, "after"),
    ],
)
def test_a_line_of_the_wrong_shape_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    line = {"type": "cron", "config": {"expr": "* * * * *"}, "after": "2026-01-01", "count": 1, **change}
    with pytest.raises(InvalidField) as caught:
        preview_line(line, CLOCK)
    assert caught.value.field == field
