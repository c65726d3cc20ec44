"""`only_between`, compared with a walk over every slot of the inner schedule, including clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidField
from scheduler.domain.schedule import TICK, Schedule
from scheduler.triggers.active_hours import Hours
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.cron import CronSchedule
from scheduler.triggers.interval import IntervalConfig, IntervalSchedule
from scheduler.triggers.preview import preview
from scheduler.triggers.schedule_rules import RestrictedSchedule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu")
START = datetime(2030, 1, 1, tzinfo=UTC)
# Days of clock changes, in and around the zones above.
CHANGES = [
    datetime(2030, 3, 10, 7, tzinfo=UTC),
    datetime(2030, 3, 31, 1, tzinfo=UTC),
    datetime(2030, 4, 6, 15, tzinfo=UTC),
    datetime(2030, 10, 5, 15, 30, tzinfo=UTC),
    datetime(2030, 10, 27, 1, tzinfo=UTC),
    datetime(2030, 11, 3, 6, tzinfo=UTC),
]

times = st.builds(
    lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.sampled_from([0, 15, 30, 59])
)
spans = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]).map("-".join)
moments = st.one_of(
    st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-600, 600),
    ),
    st.integers(0, 400 * 1440).map(lambda minutes: START + timedelta(minutes=minutes)),
)
steps = st.sampled_from([7, 15, 20, 60, 97, 240])


def grid(minutes: float, anchor: datetime = START) -> IntervalSchedule:
    """An evenly spaced schedule."""
    return IntervalSchedule(anchor, timedelta(minutes=minutes))


def within(inner: Schedule, span: str, zone: str) -> RestrictedSchedule:
    """Limits `inner` to the hours `span` of `zone`."""
    return RestrictedSchedule(inner, ZoneInfo(zone), (Hours.parse(span),))


def slots(schedule: Schedule, hours: Hours, zone: ZoneInfo, first: datetime, last: datetime) -> list[datetime]:
    """Returns every slot of `schedule` in [first, last] whose local time is in `hours`, one by one."""
    found, slot = [], schedule.next_after(first - TICK)
    while slot is not None and slot <= last:
        if hours.allow(slot.astimezone(zone).replace(tzinfo=None)):
            found.append(slot)
        slot = schedule.next_after(slot)
    return found


@settings(max_examples=400, deadline=None)
@given(span=spans, zone_name=st.sampled_from(ZONES), moment=moments, step=steps)
def test_the_hours_are_those_of_a_walk_over_every_slot(
    span: str, zone_name: str, moment: datetime, step: int
) -> None:
    hours, zone, inner = (
        Hours.parse(span),
        ZoneInfo(zone_name),
        grid(step, moment - timedelta(days=20, seconds=13)),
    )
    active = RestrictedSchedule(inner, zone, (hours,))
    day = timedelta(days=3)
    before = slots(inner, hours, zone, moment - day, moment)
    after = slots(inner, hours, zone, moment + TICK, moment + day)
    if after:
        assert active.next_after(moment) == after[0]
        assert active.count_between(moment + TICK, moment + day, 10_000) == (len(after), True)
    else:
        following = active.next_after(moment)
        assert following is None or following > moment + day
    if before:
        assert active.last_until(moment) == before[-1]
    else:
        newest = active.last_until(moment)
        assert newest is None or newest < moment - day


@settings(max_examples=100, deadline=None)
@given(span=spans, zone_name=st.sampled_from(ZONES), moment=moments)
def test_the_next_slot_and_the_newest_one_agree(span: str, zone_name: str, moment: datetime) -> None:
    active = within(CronSchedule.parse("* * * * *", zone_name), span, zone_name)
    slot = active.next_after(moment)
    assert slot is not None and slot > moment
    assert active.last_until(slot) == slot
    assert active.next_after(slot - TICK) == slot
    before = active.last_until(slot - TICK)
    assert before is None or before <= moment


@pytest.mark.parametrize(
    ("span", "hour", "inside"),
    [
        ("09:00-18:00", 9, True),
        ("09:00-18:00", 18, False),
        ("22:00-06:00", 23, True),
        ("22:00-06:00", 0, True),
        ("22:00-06:00", 6, False),
        ("18:00-24:00", 23, True),
        ("18:00-24:00", 0, False),
    ],
)
def test_the_beginning_is_inside_the_end_is_not_and_midnight_is_passed(span: str, hour: int, inside: bool) -> None:
    assert Hours.parse(span).allow(START.replace(hour=hour, tzinfo=None)) is inside


def test_slots_are_kept_to_the_hours_of_the_zone() -> None:
    shown = preview(
        "interval",
        {"minutes": 240, "only_between": "09:00-18:00"},
        zone="Asia/Tokyo",
        after=datetime(2030, 1, 1, 1, tzinfo=UTC),
        count=4,
        naive_ok=False,
    )
    assert shown.fire_times == [
        "2030-01-01T14:00:00+09:00",
        "2030-01-02T10:00:00+09:00",
        "2030-01-02T14:00:00+09:00",
        "2030-01-03T10:00:00+09:00",
    ]


def test_slots_outside_the_hours_do_not_exist_and_are_not_missed() -> None:
    active = within(grid(60), "09:00-11:00", "UTC")
    assert active.count_between(START, START + timedelta(days=10), 100) == (20, True)
    assert active.count_between(START, START + timedelta(days=100), 100) == (100, False)
    assert active.last_until(START + timedelta(days=1)) == START.replace(hour=10)


def test_hours_that_no_slot_meets_have_none_and_do_not_take_for_ever() -> None:
    active = within(grid(1440), "09:00-18:00", "UTC")
    assert active.next_after(START) is None
    assert active.last_until(START + timedelta(days=3000)) is None
    assert active.count_between(START, START + timedelta(days=3000), 100) == (0, True)


@pytest.mark.parametrize(
    "span",
    [
        "9-18",
        "09:00",
        "09:00-25:00",
        "09:00-09:00",
        "00:00-24:00",
        "24:00-06:00",
        "09:60-10:00",
        "",
        "09:00 - 18:00",
    ],
)
def test_an_invalid_span_of_hours_is_refused(span: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(IntervalConfig, {"minutes": 30, "only_between": span}, CheckContext(START))
    assert refused.value.field == "config.only_between"
