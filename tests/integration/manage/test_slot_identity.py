"""A slot is its nominal time: jitter moves when it fires, and changing it neither doubles nor loses a slot."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from scheduler.triggers.interval import IntervalSchedule
from scheduler.triggers.jitter import JitteredSchedule
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler

HOUR = timedelta(hours=1)


def make_jittered(db: Database, jitter: float | None, nominal_ago: timedelta) -> tuple[UUID, datetime]:
    """Creates an hourly trigger whose next slot's nominal time was `nominal_ago`; returns it with that slot."""
    config = {"seconds": 3600} | ({} if jitter is None else {"jitter_seconds": jitter})
    trigger = make_trigger(db, make_agent(db), config=config)
    (row,) = rows(db, "SELECT clock_timestamp() - CAST(:ago AS interval) AS slot", ago=nominal_ago)
    anchor = row.slot - 5 * HOUR
    schedule = IntervalSchedule(anchor, HOUR)
    fires = (
        JitteredSchedule(schedule, timedelta(seconds=jitter), trigger.id).fires_at(row.slot)
        if jitter
        else row.slot
    )
    change(db, "UPDATE triggers SET anchor_at = :anchor WHERE id = :id", anchor=anchor, id=trigger.id)
    change(db, "UPDATE jobs SET next_run_time = :time WHERE trigger_id = :id", time=fires, id=trigger.id)
    return trigger.id, row.slot


def fires_late(db: Database, jitter: float, nominal_ago: timedelta) -> tuple[UUID, datetime]:
    """Like `make_jittered`, with a trigger whose jitter delays the slot beyond now: most do."""
    while True:
        change(db, "UPDATE agents SET deleted_at = clock_timestamp(), name = gen_random_uuid()::text")
        trigger_id, slot = make_jittered(db, jitter, nominal_ago)
        if rows(
            db,
            "SELECT 1 FROM jobs WHERE trigger_id = :id AND next_run_time > now() + interval '1 minute'",
            id=trigger_id,
        ):
            return trigger_id, slot
        change(db, "UPDATE jobs SET next_run_time = NULL WHERE trigger_id = :id", id=trigger_id)
        change(db, "UPDATE triggers SET is_enabled = false WHERE id = :id", id=trigger_id)


def test_a_firing_names_the_nominal_slot(db: Database, scheduler: SteppedScheduler) -> None:
    trigger_id, slot = make_jittered(db, 600, timedelta(minutes=11))
    scheduler.run_pass()
    (firing,) = firings_by_slot(db, trigger_id)
    assert (firing.first_scheduled_for, firing.scheduled_for) == (slot, slot)
    assert firing.occurrence_key == f"slot:{slot.isoformat()}"
    assert slot <= firing.due_at < slot + timedelta(minutes=10)


def test_more_jitter_does_not_fire_a_slot_again(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger_id, slot = make_jittered(db, None, timedelta(seconds=5))
    scheduler.run_pass()
    for jitter in (3599, 3000, 2000, 3500, 1, 3599):
        changed = triggers.update(DEFAULT_TENANT, trigger_id, {"config": {"jitter_seconds": jitter}}, actor="test")
        assert changed.next_fire_at is not None
        assert changed.next_fire_at >= slot + HOUR
    assert [row.scheduled_for for row in firings_by_slot(db, trigger_id)] == [slot]


@pytest.mark.parametrize("jitter", [None, 1])
def test_less_jitter_loses_no_slot_that_waits(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, jitter: float | None
) -> None:
    trigger_id, slot = fires_late(db, 3500, timedelta(seconds=100))
    triggers.update(DEFAULT_TENANT, trigger_id, {"config": {"jitter_seconds": jitter}}, actor="test")
    scheduler.run_pass()
    assert [row.scheduled_for for row in firings_by_slot(db, trigger_id)] == [slot]


def test_a_change_of_another_field_leaves_a_slot_that_waits_where_it_is(db: Database, triggers: Triggers) -> None:
    trigger_id, _ = fires_late(db, 3500, timedelta(seconds=100))
    before = triggers.get(DEFAULT_TENANT, trigger_id).next_fire_at
    for patch in ({"config": {"exclude": ["2001-01-01"]}}, {"reason": "another"}, {"is_enabled": True}):
        assert triggers.update(DEFAULT_TENANT, trigger_id, patch, actor="test").next_fire_at == before
    triggers.pause(DEFAULT_TENANT, trigger_id, actor="test")
    assert triggers.resume(DEFAULT_TENANT, trigger_id, actor="test").next_fire_at == before


def test_a_slot_that_waits_and_is_changed_away_is_audited(db: Database, triggers: Triggers) -> None:
    trigger_id, slot = fires_late(db, 3500, timedelta(seconds=100))
    triggers.update(DEFAULT_TENANT, trigger_id, {"config": {"seconds": 1800}}, actor="test")
    (told,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert (told.detail["first"], told.detail["why"]) == (slot.isoformat(), "changed")


def test_a_slot_that_was_fired_before_the_upgrade_is_not_fired_again(
    db: Database, scheduler: SteppedScheduler
) -> None:
    """Older firings are keyed by the time after jitter; their jobs have moved on to the next slot."""
    trigger_id, slot = make_jittered(db, 600, timedelta(minutes=11))
    scheduler.run_pass()
    with db.begin() as conn:
        conn.execute(
            text("UPDATE firings SET occurrence_key = 'slot:before', scheduled_for = due_at, due_at = NULL")
        )
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger_id)) == 1
    (job,) = rows(db, "SELECT next_run_time FROM jobs WHERE trigger_id = :id", id=trigger_id)
    assert slot + HOUR <= job.next_run_time < slot + HOUR + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("config", "patch"),
    [
        ({"seconds": 86_400}, {"exclude": ["2030-12-25"]}),
        ({"seconds": 86_400}, {"until": "2999-12-31"}),
        ({"seconds": 86_400}, {"only_between": "00:00-23:59", "exclude": None}),
        ({"minutes": 1440}, {"minutes": None, "seconds": 86_400}),
        ({"minutes": 1440.0}, {"minutes": 1440}),
    ],
)
def test_a_change_of_no_step_keeps_the_grid(
    db: Database, triggers: Triggers, config: dict[str, object], patch: dict[str, object]
) -> None:
    trigger = make_trigger(db, make_agent(db), config=config)
    change(db, "UPDATE triggers SET anchor_at = anchor_at - interval '5 hours 7 seconds'")
    change(db, "UPDATE jobs SET next_run_time = next_run_time - interval '5 hours 7 seconds'")
    before = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    assert triggers.update(DEFAULT_TENANT, trigger.id, {"config": patch}, actor="test").next_fire_at == before


def test_another_step_starts_a_new_grid(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 86_400})
    change(db, "UPDATE triggers SET anchor_at = anchor_at - interval '5 hours'")
    changed = triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"seconds": 7200}}, actor="test")
    assert changed.next_fire_at == changed.updated_at + timedelta(hours=2)


@pytest.mark.parametrize(("kind", "patch"), [("poll", {"repeat": True}), ("on_message", {"channels": ["slack"]})])
def test_what_looks_at_intervals_keeps_its_grid_too(
    db: Database, triggers: Triggers, kind: str, patch: dict[str, object]
) -> None:
    sender = make_agent(db, "sender")
    config: dict[str, object] = {"from_agent": str(sender)}
    if kind == "poll":
        config = {"url": "https://example.org/", "json_path": "$.a", "fire_on": "match", "match_value": 1}
    trigger = make_trigger(db, make_agent(db), kind, config=config)
    change(db, "UPDATE triggers SET anchor_at = anchor_at - interval '7 seconds'")
    (before,) = rows(db, "SELECT anchor_at FROM triggers WHERE id = :id", id=trigger.id)
    triggers.update(DEFAULT_TENANT, trigger.id, {"config": patch}, actor="test")
    (after,) = rows(db, "SELECT anchor_at FROM triggers WHERE id = :id", id=trigger.id)
    assert after == before
