"""Jitter: each slot is delayed by an amount of its trigger, without changing which slots exist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.model import MisfirePolicy
from scheduler.domain.schedule import TICK, Schedule
from scheduler.firings.slots import plan
from scheduler.triggers.active_hours import Hours
from scheduler.triggers.cron import CronSchedule
from scheduler.triggers.interval import IntervalSchedule
from scheduler.triggers.jitter import JitteredSchedule
from scheduler.triggers.schedule_rules import RestrictedSchedule

# Clocks change in Berlin and, by half an hour, in Lord Howe.
STARTS = [datetime(2030, 3, 30, tzinfo=UTC), datetime(2030, 10, 26, tzinfo=UTC), datetime(2030, 4, 6, tzinfo=UTC)]
few = settings(max_examples=100, deadline=None)


@st.composite
def inners(draw: st.DrawFn) -> tuple[Schedule, datetime]:
    """Generates a schedule to spread, and a moment near a clock change."""
    start = draw(st.sampled_from(STARTS))
    zone = draw(st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe"]))
    inner: Schedule = draw(
        st.one_of(
            st.sampled_from(["* * * * *", "*/20 * * * *", "0,1,59 1,2,3 * * *", "30 2 * * *"]).map(
                lambda expr: CronSchedule.parse(expr, zone)
            ),
            st.sampled_from([1.0, 90.5, 3600.0]).map(
                lambda step: IntervalSchedule(start - timedelta(days=1), timedelta(seconds=step))
            ),
        )
    )
    if draw(st.booleans()):
        inner = RestrictedSchedule(
            inner, ZoneInfo(zone), (Hours.parse("01:00-02:45"),), start + timedelta(hours=30.25)
        )
    return inner, start + timedelta(minutes=draw(st.integers(0, 36 * 60)))


spreads = st.one_of(st.sampled_from([0.5, 59, 600, 86_400]), st.floats(0.001, 86_400)).map(
    lambda seconds: timedelta(seconds=seconds)
)


@few
@given(inners(), spreads, st.uuids())
def test_every_slot_is_put_off_by_less_than_the_spread_and_stays_before_the_next(
    drawn: tuple[Schedule, datetime], spread: timedelta, seed: UUID
) -> None:
    inner, moment = drawn
    jittered = JitteredSchedule(inner, spread, seed)
    originals = forwards(inner, moment, 12)
    slots = [jittered.last_until((inner.next_after(slot) or slot + spread) - TICK) for slot in originals]
    for original, slot in zip(originals, slots, strict=True):
        assert slot is not None
        following = inner.next_after(original)
        assert original <= slot < original + spread
        assert following is None or slot < following
        assert not isinstance(inner, RestrictedSchedule) or inner.allows(slot)


@few
@given(inners(), spreads, st.uuids())
def test_forwards_backwards_and_count_are_of_the_same_slots(
    drawn: tuple[Schedule, datetime], spread: timedelta, seed: UUID
) -> None:
    inner, moment = drawn
    jittered = JitteredSchedule(inner, spread, seed)
    slots = forwards(jittered, moment, 12)
    assert slots == sorted(set(slots))
    for number, slot in enumerate(slots):
        assert jittered.last_until(slot) == slot
        assert jittered.next_after(slot - TICK) == slot
        assert jittered.count_between(slots[0], slot, 100) == (number + 1, True)
    for early, late in pairwise(slots):
        assert jittered.last_until(late - TICK) == early
        assert jittered.count_between(early + TICK, late - TICK, 100) == (0, True)


def test_the_same_trigger_and_slot_have_the_same_jitter_and_others_have_others() -> None:
    inner = CronSchedule.parse("0 9 * * *", "Europe/Berlin")
    first, second = UUID(int=1), UUID(int=2)

    def days(seed: UUID) -> list[datetime]:
        return forwards(JitteredSchedule(inner, timedelta(hours=1), seed), STARTS[0], 30)

    assert days(first) == days(first)
    assert not set(days(first)) & set(days(second))
    assert len({slot.astimezone(ZoneInfo("Europe/Berlin")).time() for slot in days(first)}) == 30


def test_many_triggers_are_spread_evenly() -> None:
    inner = IntervalSchedule(STARTS[0], timedelta(hours=1))
    minutes = [0] * 10
    for number in range(2000):
        slot = JitteredSchedule(inner, timedelta(minutes=10), UUID(int=number)).next_after(STARTS[0])
        assert slot is not None
        minutes[(slot - STARTS[0] - timedelta(hours=1)) // timedelta(minutes=1)] += 1
    assert min(minutes) > 150
    assert max(minutes) < 250


def test_after_an_outage_each_slot_lies_in_one_firings_range() -> None:
    jittered = JitteredSchedule(CronSchedule.parse("*/10 * * * *", "UTC"), timedelta(minutes=10), UUID(int=7))
    slots = forwards(jittered, STARTS[0], 51)
    now = slots[-1] - TICK
    for policy, counts in ((MisfirePolicy.LATEST, [50]), (MisfirePolicy.ALL, [1] * 50)):
        decided = plan(jittered, slots[0], now, policy, timedelta(0))
        assert [firing.count for firing in decided.firings] == counts
        assert (decided.firings[0].first, decided.firings[-1].last) == (slots[0], slots[49])
        assert decided.next_run_time == slots[50]


def forwards(schedule: Schedule, moment: datetime, count: int) -> list[datetime]:
    """Returns the next `count` slots after `moment`, or as many as exist."""
    slots: list[datetime] = []
    slot = schedule.next_after(moment)
    while slot is not None and len(slots) < count:
        slots.append(slot)
        slot = schedule.next_after(slot)
    return slots
