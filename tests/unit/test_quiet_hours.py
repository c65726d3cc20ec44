"""Quiet hours are those of the clock on the wall, over midnight and on the days when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.alerts.notices import is_quiet


@pytest.mark.parametrize(
    ("utc", "quiet"),
    [
        ("2026-07-01T19:59", False),
        ("2026-07-01T20:00", True),
        ("2026-07-01T23:30", True),
        ("2026-07-02T04:59", True),
        ("2026-07-02T05:00", False),
        ("2026-01-01T20:00", False),
        ("2026-01-01T21:00", True),
        ("2026-03-29T04:59", True),  # the night has 23 hours
        ("2026-03-29T05:00", False),
        ("2026-10-25T05:59", True),  # the night has 25 hours
        ("2026-10-25T06:00", False),
    ],
)
def test_the_clock_on_the_wall_decides(utc: str, quiet: bool) -> None:
    assert is_quiet(datetime.fromisoformat(utc).replace(tzinfo=UTC), "22:00-07:00", "Europe/Berlin") is quiet


def test_hours_that_repeat_are_quiet_twice_and_those_left_out_never() -> None:
    for utc in ("2026-10-25T00:30", "2026-10-25T01:30"):
        assert is_quiet(datetime.fromisoformat(utc).replace(tzinfo=UTC), "02:00-03:00", "Europe/Berlin")
    for utc in ("2026-03-29T00:59", "2026-03-29T01:00"):
        assert not is_quiet(datetime.fromisoformat(utc).replace(tzinfo=UTC), "02:00-03:00", "Europe/Berlin")


def test_unreadable_sessions_silence_nobody() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert not is_quiet(now, "at night", None)
    assert not is_quiet(now, "22:00-07:00", "Nowhere/Land")
