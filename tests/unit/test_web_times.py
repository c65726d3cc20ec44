"""How pages show a time, and a cron expression in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from api.web.filters import time_tag
from scheduler.triggers.cron import cron_words

NOW = datetime(2030, 3, 15, 8, 57, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "zone", "text"),
    [
        (datetime(2030, 3, 15, 9, 0, 0, 999999, tzinfo=UTC), "UTC", "in 3 min · 09:00"),
        ("2030-03-15T08:00:05.123456Z", "Europe/Berlin", "56 min ago · 09:00:05"),
        (NOW - timedelta(days=3), "UTC", "3 d ago · 12 Mar 08:57"),
        (NOW + timedelta(days=400), "UTC", "in 1 y · 19 Apr 2031 08:57"),
        (NOW, "UTC", "now · 08:57"),
        (datetime(2030, 3, 15, 23, 30, tzinfo=UTC), "Asia/Tokyo", "in 14 h · 16 Mar 08:30"),
    ],
)
def test_a_time_is_relative_and_exact_without_what_goes_without_saying(
    moment: datetime | str, zone: str, text: str
) -> None:
    assert re.sub("<[^>]*>", "", time_tag(moment, zone, NOW)) == text


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        ("0 9 * * mon-fri", "At 09:00, Monday through Friday"),
        ("*/15 9-17 * * *", "Every 15 minutes, between 09:00 and 17:59"),
        ("@daily", "At 00:00"),
        ("0 9 1 * mon", "At 09:00, on day 1 of the month, or on Monday"),
        ("0 0 * * 7", "At 00:00, only on Sunday"),
        ("0 9 L * *", "At 09:00, on the last day of the month"),
        # Not every seven minutes, five days or two weekdays: the last step is shorter.
        ("*/7 * * * *", ""),
        ("0 0 */5 * *", ""),
        ("0 9 * * */2", ""),
        # Both must match here, which the words would not convey.
        ("0 9 */2 * mon", ""),
        ("0 9 * * mon#1,fri#1", ""),
        ("nonsense", ""),
    ],
)
def test_words_say_what_the_expression_does_or_nothing(expr: str, words: str) -> None:
    assert cron_words({"expr": expr}) == words


def test_seconds_are_read_where_the_trigger_has_them() -> None:
    assert cron_words({"expr": "*/30 0 9 * * *", "seconds": "first"}).startswith("Every 30 seconds")
    assert cron_words({}) == ""
