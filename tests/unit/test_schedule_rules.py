"""`exclude`, `only_between` and `until` together, compared with a walk over every slot of the inner schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.schedule import TICK, Schedule
from scheduler.triggers.active_hours import Hours
from scheduler.triggers.cron import CronSchedule
from scheduler.triggers.excluded_dates import ExcludedDates
from scheduler.triggers.interval import IntervalSchedule
from scheduler.triggers.schedule_rules import RestrictedSchedule, Rule

# A zone and the day around which its clocks change.
CHANGES = [
    ("Europe/Berlin", date(2030, 3, 31)),
    ("Europe/Berlin", date(2030, 10, 27)),
    ("Australia/Lord_Howe", date(2030, 4, 7)),  # by half an hour
    ("America/Santiago", date(2030, 9, 8)),  # midnight is skipped
    ("America/Havana", date(2030, 11, 3)),  # midnight comes twice
    ("America/St_Johns", date(2010, 11, 7)),  # from 00:01 back to 23:01 of the day before
    ("America/St_Johns", date(2010, 3, 14)),
    ("Pacific/Apia", date(2011, 12, 30)),  # a day is left out
    ("Asia/Kathmandu", date(2030, 6, 1)),
]
STRETCH = timedelta(days=4)
few = settings(max_examples=150, deadline=None)

offsets = st.integers(-3, 3)
hours = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 47), st.integers(0, 47))
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: Hours.parse("-".join(f"{half // 2:02}:{half % 2 * 30:02}" for half in pair))),
)


@st.composite
def narrowed(draw: st.DrawFn) -> tuple[RestrictedSchedule, datetime]:
    """Generates a limited schedule around a clock change, and a moment near it."""
    zone_name, day = draw(st.sampled_from(CHANGES))
    zone = ZoneInfo(zone_name)
    middle = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    spans = [
        f"{day + timedelta(days=min(pair))}/{day + timedelta(days=max(pair))}"
        for pair in draw(st.lists(st.tuples(offsets, offsets), max_size=3))
    ]
    within = draw(hours)
    rules: list[Rule] = [] if within is None else [within]
    end = draw(st.one_of(st.none(), st.integers(-72, 72).map(lambda half: middle + timedelta(hours=half / 2))))
    inner = draw(
        st.one_of(
            st.sampled_from([7.0, 17.3, 30.0, 97.0, 240.0]).map(
                lambda minutes: IntervalSchedule(
                    middle - timedelta(days=30, seconds=7), timedelta(minutes=minutes)
                )
            ),
            st.sampled_from(["*/20 * * * *", "15 0,1,23 * * *", "0 0 * * *"]).map(
                lambda expr: CronSchedule.parse(expr, zone_name)
            ),
        )
    )
    moment = middle + timedelta(minutes=draw(st.integers(-72 * 60, 72 * 60)))
    return RestrictedSchedule(inner, zone, (*rules, ExcludedDates.parse(spans)), end), moment


def walk(schedule: Schedule, first: datetime, last: datetime) -> list[datetime]:
    """Returns the slots in [first, last] one by one."""
    slots, slot = [], schedule.next_after(first - TICK)
    while slot is not None and slot <= last:
        slots.append(slot)
        slot = schedule.next_after(slot)
    return slots


def wanted(schedule: RestrictedSchedule, first: datetime, last: datetime) -> list[datetime]:
    """Returns the inner slots in [first, last] that the rules and the end leave, checked one by one."""

    def allow(slot: datetime) -> bool:
        local = slot.astimezone(schedule.zone).replace(tzinfo=None)
        return all(rule.allow(local) for rule in schedule.rules) and (schedule.end is None or slot <= schedule.end)

    return [slot for slot in walk(schedule.inner, first, last) if allow(slot)]


@few
@given(narrowed())
def test_the_slots_are_those_of_a_walk_over_every_slot_inside(drawn: tuple[RestrictedSchedule, datetime]) -> None:
    schedule, moment = drawn
    first, last = moment - STRETCH, moment + STRETCH
    expected = wanted(schedule, first, last)
    assert walk(schedule, first, last) == expected
    assert schedule.count_between(first, last, 10_000) == (len(expected), True)
    assert all(schedule.allows(slot) for slot in expected)


@few
@given(narrowed())
def test_the_slots_are_the_same_backwards(drawn: tuple[RestrictedSchedule, datetime]) -> None:
    schedule, moment = drawn
    first, last = moment - STRETCH, moment + STRETCH
    backwards, slot = [], schedule.last_until(last)
    while slot is not None and slot >= first:
        backwards.append(slot)
        slot = schedule.last_until(slot - TICK)
    expected = wanted(schedule, first, last)
    assert backwards[::-1] == expected
    for early, late in pairwise(expected):
        assert schedule.last_until(late - TICK) == early
        assert schedule.next_after(early) == late


def test_dates_in_any_order_that_overlap_or_touch_are_one_stretch() -> None:
    dates = ExcludedDates.parse(["2030-01-05/2030-01-07", "2030-01-01/2030-01-02", "2030-01-03", "2030-01-06"])
    assert dates.spans == ((date(2030, 1, 1), date(2030, 1, 3)), (date(2030, 1, 5), date(2030, 1, 7)))


def test_an_excluded_day_is_the_zones_own() -> None:
    schedule = RestrictedSchedule(
        CronSchedule.parse("0 * * * *", "Asia/Tokyo"),
        ZoneInfo("Asia/Tokyo"),
        (ExcludedDates.parse(["2030-01-02"]),),
    )
    assert schedule.next_after(datetime(2030, 1, 1, 14, tzinfo=UTC)) == datetime(2030, 1, 2, 15, tzinfo=UTC)
    assert schedule.last_until(datetime(2030, 1, 2, 14, 59, tzinfo=UTC)) == datetime(2030, 1, 1, 14, tzinfo=UTC)


@pytest.mark.parametrize("expr", ["0 9 * * *", "0 9 29 2 *", "0 9 29 2 */7", "* 9 * * *"])
def test_when_every_slot_is_left_out_there_is_none_and_the_search_ends(expr: str) -> None:
    schedule = RestrictedSchedule(CronSchedule.parse(expr, "UTC"), ZoneInfo("UTC"), (Hours.parse("10:00-11:00"),))
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert schedule.next_after(now) is None
    assert schedule.last_until(now) is None
    assert schedule.count_between(now, now + timedelta(days=3000), 100) == (0, True)


def test_days_that_are_excluded_for_ever_end_the_schedule() -> None:
    for_ever = ExcludedDates.parse(["2030-01-02/9999-12-31"])
    schedule = RestrictedSchedule(CronSchedule.parse("0 0 * * *", "UTC"), ZoneInfo("UTC"), (for_ever,))
    assert schedule.next_after(datetime(2030, 1, 1, tzinfo=UTC)) is None
    assert schedule.last_until(datetime(2300, 1, 1, tzinfo=UTC)) == datetime(2030, 1, 1, tzinfo=UTC)
