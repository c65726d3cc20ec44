"""How a change affects a schedule: due slots, the grid, the last slot, and one audit event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.domain.errors import Conflict, InvalidField
from scheduler.manage.triggers.jobs import rezone_agent
from scheduler.manage.triggers.reconcile import reconcile_jobs
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.drift import find_drift
from scheduler.storage.engine import Database
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.invocations import audited
from tests.support.stepped_scheduler import SteppedScheduler


def no_drift(db: Database) -> bool:
    """Whether triggers and jobs agree."""
    with db.begin() as conn:
        return find_drift(conn) == []


def move(db: Database, agent_id: UUID, zone: str) -> None:
    """Gives an agent another zone, which its triggers follow."""
    change(db, "UPDATE agents SET timezone = :zone WHERE id = :id", zone=zone, id=agent_id)
    with db.begin() as conn:
        rezone_agent(conn, agent_id)


def test_the_same_config_again_keeps_the_grid_and_what_is_due(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 3600})
    same = triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"seconds": 3600}, "reason": "r"}, actor="test")
    assert (same.next_fire_at, same.reason) == (trigger.next_fire_at, "r")
    make_due(db, trigger.id)
    triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"seconds": 3600}}, actor="test")
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


def test_the_same_config_again_of_a_once_that_has_fired_is_no_error(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2999-01-01"})
    change(db, 'UPDATE triggers SET config = \'{"at": "2001-01-01"}\'')
    change(db, "UPDATE jobs SET next_run_time = '2001-01-01Z'")
    scheduler.run_pass()
    patch = {"config": {"at": "2001-01-01"}}
    assert triggers.update(DEFAULT_TENANT, trigger.id, patch, actor="test").paused_note == "finished"


@pytest.mark.parametrize("max_fires", [0, 1])
def test_a_limit_that_is_reached_already_ends_the_trigger(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, max_fires: int
) -> None:
    trigger = make_trigger(db, make_agent(db))
    triggers.fire(DEFAULT_TENANT, trigger.id, actor="test")
    ended = triggers.update(DEFAULT_TENANT, trigger.id, {"max_fires": max_fires}, actor="test")
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "max_fires", None)
    assert audited(db, trigger.id)[-2:] == ["trigger.updated", "trigger.finished"]
    scheduler.run_pass()
    assert ended.fire_count == triggers.get(DEFAULT_TENANT, trigger.id).fire_count == 1
    assert no_drift(db)


@pytest.mark.parametrize(
    ("narrowing", "field"),
    [({"until": "2020-01-01"}, "config.until"), ({"only_between": "10:00-11:00"}, "config.only_between")],
)
def test_a_change_that_leaves_no_slot_is_refused_and_changes_nothing(
    db: Database, triggers: Triggers, narrowing: dict[str, Any], field: str
) -> None:
    agent = make_agent(db)
    trigger = make_trigger(db, agent, "cron", config={"expr": "0 9 * * *"})
    with pytest.raises(InvalidField) as refused:
        triggers.update(DEFAULT_TENANT, trigger.id, {"config": narrowing}, actor="test")
    assert refused.value.field == field
    assert triggers.get(DEFAULT_TENANT, trigger.id) == trigger
    with pytest.raises(InvalidField) as refused:
        make_trigger(db, agent, "cron", config={"expr": "0 9 * * *"} | narrowing)
    assert refused.value.field == field


@pytest.mark.parametrize(("kind", "config"), [("interval", {"seconds": 3600}), ("cron", {"expr": "0 0 1 1 *"})])
def test_a_slot_that_is_due_survives_a_change_of_zone(
    db: Database, scheduler: SteppedScheduler, kind: str, config: dict[str, Any]
) -> None:
    agent = make_agent(db)
    trigger = make_trigger(db, agent, kind, config=config)
    make_due(db, trigger.id)
    move(db, agent, "Asia/Tokyo")
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


def test_a_change_of_zone_makes_no_poll_look_sooner(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db)
    trigger = make_trigger(db, agent, "poll", config={"url": "https://example.org/", "json_path": "$.a"})
    change(db, "UPDATE jobs SET next_run_time = next_run_time + interval '5 minutes'")
    move(db, agent, "Asia/Tokyo")
    moved = triggers.get(DEFAULT_TENANT, trigger.id)
    assert moved.next_fire_at == trigger.created_at + timedelta(minutes=5)


def test_a_trigger_whose_end_has_passed_in_the_new_zone_is_finished(db: Database, triggers: Triggers) -> None:
    agent = make_agent(db, timezone="Pacific/Pago_Pago")
    now = rows(db, "SELECT clock_timestamp() AS now")[0].now
    until = (now + timedelta(hours=12)).astimezone(UTC).replace(tzinfo=None).isoformat()
    trigger = make_trigger(db, agent, "cron", config={"expr": "* * * * *", "until": until})
    move(db, agent, "Pacific/Kiritimati")
    ended = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "finished", None)
    assert audited(db, trigger.id)[-1] == "trigger.finished"
    assert no_drift(db)
    with pytest.raises(Conflict, match="config"):
        triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")


def test_a_trigger_fires_its_last_slot_before_until_and_is_finished(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60, "until": "2999-12-31"}, misfire_policy="all")
    make_due(db, trigger.id, seconds_ago=630)
    change(
        db, "UPDATE triggers SET config = config || jsonb_build_object('until', anchor_at + interval '64 minutes')"
    )
    scheduler.run_pass()
    firings = firings_by_slot(db, trigger.id)
    slot = firings[0].scheduled_for
    assert [row.scheduled_for - slot for row in firings] == [timedelta(minutes=n) for n in range(5)]
    ended = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "finished", None)


def test_triggers_that_share_a_slot_fire_apart_and_a_change_of_the_days_does_not_move_them(
    db: Database, triggers: Triggers
) -> None:
    agent, config = make_agent(db), {"expr": "0 9 * * *", "jitter_seconds": 3600}
    made = [make_trigger(db, agent, "cron", config=config) for _ in range(5)]
    assert len({each.next_fire_at for each in made}) == 5
    for each in made:
        changed = triggers.update(DEFAULT_TENANT, each.id, {"config": {"exclude": ["2020-01-01"]}}, actor="test")
        assert changed.next_fire_at == each.next_fire_at
        assert each.next_fire_at is not None
        shown = triggers.preview(DEFAULT_TENANT, each.id, 1).fire_times
        assert [datetime.fromisoformat(time) for time in shown] == [each.next_fire_at]


def test_an_expiry_and_a_slot_that_are_due_together_end_the_trigger_once(
    db: Database, scheduler: SteppedScheduler
) -> None:
    trigger = make_trigger(db, make_agent(db), expires_at=datetime(2040, 1, 1, tzinfo=UTC))
    change(db, "UPDATE triggers SET expires_at = clock_timestamp()")
    change(db, "UPDATE jobs SET next_run_time = clock_timestamp()")
    scheduler.run_pass()
    assert audited(db, trigger.id) == ["trigger.created", "trigger.expired"]
    assert firings_by_slot(db, trigger.id) == []


def test_a_last_slot_that_reaches_the_limit_too_is_audited_once(db: Database, scheduler: SteppedScheduler) -> None:
    config = {"at": "2001-01-01", "allow_past": True}
    trigger = make_trigger(db, make_agent(db), "once", config=config, max_fires=1)
    scheduler.run_pass()
    assert audited(db, trigger.id) == ["trigger.created", "trigger.finished"]


def test_a_repair_leaves_a_slot_that_is_due(db: Database, scheduler: SteppedScheduler) -> None:
    trigger = make_trigger(db, make_agent(db), expires_at=datetime(2040, 1, 1, tzinfo=UTC))
    make_due(db, trigger.id)
    change(db, "DELETE FROM jobs WHERE kind = 'expiry'")
    assert [drift.why for drift in reconcile_jobs(db)] == ["expiry that differs"]
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1
    assert no_drift(db)


def test_a_repair_ends_a_trigger_that_has_nothing_left_in_its_zone(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), "cron", config={"expr": "0 9 * * *", "until": "2999-12-31"})
    change(db, "UPDATE triggers SET zone = 'Asia/Tokyo', config = config || '{\"until\": \"2020-01-01\"}'")
    assert [drift.why for drift in reconcile_jobs(db)] == ["job in an old zone"]
    assert not triggers.get(DEFAULT_TENANT, trigger.id).is_enabled
    assert no_drift(db)


def test_a_patch_that_may_not_resume_changes_nothing_at_all(db: Database, triggers: Triggers) -> None:
    """The whole patch is one transaction, including `is_enabled`."""
    trigger = make_trigger(db, make_agent(db), reason="before")
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    with pytest.raises(Conflict, match="max_fires"):
        triggers.update(
            DEFAULT_TENANT, trigger.id, {"reason": "after", "max_fires": 0, "is_enabled": True}, actor="test"
        )
    kept = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (kept.reason, kept.max_fires, kept.is_enabled) == ("before", None, False)
    patch = {"reason": "after", "config": {"seconds": 7}, "is_enabled": True}
    resumed = triggers.update(DEFAULT_TENANT, trigger.id, patch, actor="test")
    assert (resumed.reason, resumed.is_enabled) == ("after", True)
    assert resumed.next_fire_at is not None


def test_pausing_and_resuming_are_changes_with_a_time(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db))
    paused = triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    resumed = triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")
    assert trigger.updated_at < paused.updated_at < resumed.updated_at
