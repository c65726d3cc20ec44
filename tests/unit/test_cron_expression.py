"""Valid cron expressions, and the messages for invalid ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Literal

import pytest

from scheduler.domain.errors import InvalidField
from scheduler.triggers.cron import CronSchedule
from scheduler.triggers.cron_days import DayRule
from scheduler.triggers.cron_expression import parse_expression


@pytest.mark.parametrize(
    ("expr", "says"),
    [
        ("60 * * * *", "minute: 60 in '60' is not from 0 to 59"),
        ("0 24 * * *", "hour: 24 in '24' is not from 0 to 23"),
        ("0 0 0 * *", "day of month: 0 in '0' is not from 1 to 31"),
        ("0 0 * 13 *", "month: 13 in '13' is not from 1 to 12"),
        ("0 0 * * 8", "day of week: 8 in '8' is not from 0 to 7"),
        ("0 0 * * friday", "day of week: 'FRIDAY' is not a known name; write FRI"),
        ("0 0 * june *", "month: 'JUNE' is not a known name; write JUN"),
        ("0 nine * * *", "hour: 'NINE' is not understood"),
        ("*/90 * * * *", r"minute: the step 90 in '\*/90' is not from 1 to 59.*interval"),
        ("*/0 * * * *", r"minute: the step 0 in '\*/0' is not from 1 to 59"),
        ("0 1/2147483648 * * *", "hour: the step 2147483648"),
        ("30-10 * * * *", "minute: the range '30-10' runs backwards; write 30-59,0-10"),
        ("0 22-6 * * *", "hour: the range '22-6' runs backwards; write 22-23,0-6"),
        ("0 22-6/2 * * *", r"hour: the range '22-6/2' runs backwards; write 22,0,2,4,6\."),
        ("0 0 * 11-1 *", r"month: the range '11-1' runs backwards; write 11-12,1\."),
        ("0 0 * * fri-sun", r"day of week: the range 'FRI-SUN' runs backwards; Sunday is also 7, so write 5-7\."),
        ("0 0 * * sat-mon", r"write 6,0-1\."),
        ("1,,2 * * * *", "minute: there is nothing before or after a comma"),
        ("1, * * * *", "minute: there is nothing before or after a comma"),
        ("? * * * *", r"minute: '\?' is not understood"),
        ("* * ?,1 * *", r"day of month: '\?' is not understood"),
        ("H * * * *", "minute: 'H' is not understood"),
        ("5-1-2 * * * *", "minute: '5-1-2' is not understood"),
        ("*-5 * * * *", r"minute: '\*-5' is not understood"),
        ("0 0 L-31 * *", "day of month: 'L-31' counts back more than 30 days"),
        ("0 0 1,15W * *", "day of month: '15W' cannot be part of a list"),
        ("0 0 32W * *", "day of month: 32 in '32W' is not from 1 to 31"),
        ("0 0 W * *", "day of month: 'W' is not understood; .* LW, nW"),
        ("0 0 * * 1#6", "day of week: '1#6' is not understood; .* day#n"),
        ("0 0 * * L", "day of week: 'L' is not understood; .* dayL"),
        ("0 0 * * 1-3#2", "day of week: '1-3#2' is not understood"),
        ("٣ * * * *", "'٣' is not allowed"),
        ("0 0 * * ſun", "'ſ' is not allowed"),
        ("0 0 *\n* *", r"'\\n' is not allowed"),
        ("0 0\u00a0* * *", r"'\\xa0' is not allowed"),
        ("", "'' has 0 fields; write 5"),
        ("daily", "'daily' has 1 field; write 5"),
        ("* * * *", "has 4 fields; write 5: minute, hour, day of month, month, day of week"),
        ("0 * * * * *", "has 6 fields; write 5.*set seconds to 'first'"),
        ("0 0 * * * * 2026", "has 7 fields; write 5"),
        ("@reboot", "'@reboot' is not a known nickname; use one of @yearly"),
        ("@every 5m", "'@every 5m' is not a known nickname"),
        ("0 0 31 2 *", r"'0 0 31 2 \*' never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 30W 2 *", "never fires"),
        ("0 0 L-29 2 *", "never fires"),
        ("0 0 */31 * mon#2", "never fires"),
        ("0," * 600 + "0 * * * *", "the expression has 1209 characters; 1000 are allowed"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_the_remedy(expr: str, says: str) -> None:
    with pytest.raises(InvalidField, match=says) as refusal:
        parse_expression(expr, None)
    assert refusal.value.field == "expr"


@pytest.mark.parametrize(
    ("expr", "says"),
    [
        ("* * * * *", "has 5 fields; with seconds 'first' write 6: second, minute.*leave out the setting"),
        ("60 * * * * *", "second: 60 in '60' is not from 0 to 59"),
        ("*/60 * * * * *", "second: the step 60"),
    ],
)
def test_with_seconds_six_fields_are_wanted(expr: str, says: str) -> None:
    with pytest.raises(InvalidField, match=says):
        parse_expression(expr, "first")


@pytest.mark.parametrize(
    ("spelling", "plain", "seconds"),
    [
        ("@yearly", "0 0 1 1 *", None),
        ("@annually", "0 0 1 1 *", None),
        ("@monthly", "0 0 1 * *", None),
        ("@weekly", "0 0 * * 0", None),
        ("@daily", "0 0 * * *", None),
        ("@midnight", "0 0 * * *", None),
        (" @Hourly ", "0 * * * *", None),
        ("@daily", "0 0 0 * * *", "first"),
        ("\t0  9 * jan-MAR\tMon-fri", "0 9 * 1-3 1-5", None),
        ("05 08 * * 07", "5 8 * * 0", None),
        ("5/20 * * * *", "5,25,45 * * * *", None),
        ("0 0 * * mon/2", "0 0 * * 1,3,5,7", None),
        ("0 0 ? * ?", "0 0 * * *", None),
        ("0 0 l-0 * 0l", "0 0 L * sunL", None),
    ],
)
def test_spellings_of_one_schedule_say_the_same(
    spelling: str, plain: str, seconds: Literal["first"] | None
) -> None:
    one, other = parse_expression(spelling, seconds), parse_expression(plain, seconds)
    assert (one.seconds, one.minutes, one.hours, one.day_rule) == (
        other.seconds,
        other.minutes,
        other.hours,
        other.day_rule,
    )


def test_the_text_is_kept_in_one_spelling() -> None:
    assert parse_expression(" 0  9 * *\tmon-fri ", None).text == "0 9 * * MON-FRI"
    assert parse_expression("@hourly", None).text == "0 * * * *"
    assert parse_expression("0 0 9 * * *", "first").text == "0 0 9 * * *"


@pytest.mark.parametrize(
    ("expr", "days"),
    [
        ("0 0 13 * fri", {1, 8, 13, 15, 22, 29}),  # either
        ("0 0 1-31 * fri", set(range(1, 32))),  # either, and there is no star
        ("0 0 */10 * fri", {1}),  # both: one of them starts with a star
        ("0 0 13 * */6", set()),  # both: the 13th is no weekend
        ("0 0 */31,1-7 * mon", {4}),  # the first Monday by the star rule
        ("0 0 * * mon#1", {4}),
        ("0 0 * * fril,3#2", {13, 29}),
        ("0 0 l * *", {31}),
        ("0 0 L-3,15 * *", {15, 28}),
        ("0 0 lw * *", {29}),  # the 31st is a Sunday
        ("0 0 1,LW * *", {1, 29}),
        ("0 0 L-0W * *", {29}),
        ("0 0 2W * *", {1}),  # Saturday: the Friday before
        ("0 0 17W * *", {18}),  # Sunday: the Monday after
        ("0 0 L * wed", {6, 13, 20, 27, 31}),
    ],
)
def test_the_days_of_may_2026(expr: str, days: set[int]) -> None:
    """1 May 2026 is a Friday, 31 May a Sunday."""
    assert set(parse_expression(expr, None).day_rule.days_in(2026, 5)) == days


@pytest.mark.parametrize(
    ("year", "month", "near_day", "stands_in"),
    [
        (2026, 8, 1, [3]),  # a Saturday at the beginning: never in the month before
        (2026, 5, 31, [29]),  # a Sunday at the end: never in the month after
        (2026, 2, 30, []),  # no such day
        (2026, 2, 28, [27]),  # a Saturday
        (2026, 3, 1, [2]),  # a Sunday
        (2026, 5, 0, [29]),  # the last day, a Sunday
    ],
)
def test_the_nearest_workday_stays_within_its_month(
    year: int, month: int, near_day: int, stands_in: list[int]
) -> None:
    rule = DayRule(days=frozenset(), near_days=frozenset({near_day}))
    assert rule.days_in(year, month) == stands_in


def test_the_rarest_day_is_found_across_a_century_without_its_leap_day() -> None:
    rule = parse_expression("0 0 29 2 */7", None).day_rule  # 29 February on a Sunday
    assert rule.first(date(2088, 3, 1)) == date(2128, 2, 29)
    assert rule.last(date(2128, 2, 28)) == date(2088, 2, 29)


def test_an_unknown_zone_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(InvalidField, match="'Europe/Berln' is not known; did you mean Europe/Berlin") as refusal:
        CronSchedule.parse("0 9 * * *", "Europe/Berln")
    assert refusal.value.field == "timezone"


def test_an_expression_is_parsed_once() -> None:
    assert CronSchedule.parse("7 7 * * *", "UTC") is CronSchedule.parse("7 7 * * *", "UTC")
    assert CronSchedule.parse("7 7 * * *", "UTC") is not CronSchedule.parse("7 7 * * *", None)


def test_the_calendar_ends_with_the_year_9999_and_begins_with_the_year_1() -> None:
    schedule = CronSchedule.parse("0 0 * * mon#5", "Asia/Tokyo")
    latest = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
    earliest = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    assert schedule.next_after(latest) is None
    assert schedule.next_after(datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert schedule.last_until(earliest) is None
    assert schedule.last_until(datetime(1, 1, 2, tzinfo=UTC)) is None
    naive = CronSchedule.parse("0 0 * * mon#5", None)
    assert naive.next_after(latest.replace(tzinfo=None)) is None
    assert naive.last_until(earliest.replace(tzinfo=None)) is None
