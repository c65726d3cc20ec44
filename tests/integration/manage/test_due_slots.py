"""A change neither loses nor doubles a slot that was due before it: it is fired, counted or skipped, and audited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from scheduler.clock.jobs import ScheduleTrigger
from scheduler.domain.errors import InvalidField
from scheduler.manage.triggers.focus import resolve_focus
from scheduler.manage.triggers.jobs import delete_agent_triggers, rezone_agent, rezone_tenant
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.drift import find_drift
from scheduler.storage.engine import Database
from tests.support.database import change, firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.invocations import audited
from tests.support.stepped_scheduler import SteppedScheduler

LATER = datetime(2040, 1, 1, tzinfo=UTC)

PATCHES: list[dict[str, Any]] = [
    {"config": {"exclude": ["2030-12-25"]}},
    {"config": {"until": "2999-12-31"}},
    {"config": {"only_between": "00:00-23:59"}},
    {"config": {"jitter_seconds": 20}},
    {"config": {"seconds": 90}},
    {"config": {"seconds": None, "minutes": 5}},
    {"misfire_policy": "skip"},
    {"grace_seconds": 1},
    {"max_fires": 7},
    {"max_fires": 0},
    {"expires_at": LATER},
    {"urgent": True},
    {"reason": "another"},
    {"is_enabled": False},
    {"is_enabled": True},
]


def settled(db: Database, trigger_id: UUID) -> list[dict[str, Any]]:
    """Returns the audit events of slots that were settled by a change."""
    query = "SELECT detail FROM audit_events WHERE subject_id = :id AND action = 'trigger.settled' ORDER BY id"
    return [row.detail for row in rows(db, query, id=trigger_id)]


@pytest.mark.parametrize("patch", PATCHES, ids=str)
def test_a_change_of_any_field_fires_what_was_due_before_it(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, patch: dict[str, Any]
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60})
    make_due(db, trigger.id, seconds_ago=150)
    slot = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    changed = triggers.update(DEFAULT_TENANT, trigger.id, patch, actor="test")
    (firing,) = firings_by_slot(db, trigger.id)
    assert slot is not None
    assert (firing.first_scheduled_for, firing.scheduled_for, firing.slot_count) == (
        slot,
        slot + timedelta(seconds=120),
        3,
    )
    (said,) = settled(db, trigger.id)
    assert (said["because"], said["count"], said["firings"]) == (
        "updated" if "is_enabled" not in patch else said["because"],
        3,
        1,
    )
    assert changed.fire_count == 1
    assert changed.next_fire_at is None or changed.next_fire_at > firing.fired_at
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1
    with db.begin() as conn:
        assert find_drift(conn) == []


@dataclass(frozen=True)
class Scene:
    """A trigger with due slots, and those who can change it."""

    db: Database
    triggers: Triggers
    scheduler: SteppedScheduler
    agent: UUID
    trigger: UUID


def pause(scene: Scene) -> None:
    scene.triggers.pause(DEFAULT_TENANT, scene.trigger, actor="test")


def pause_and_resume(scene: Scene) -> None:
    scene.triggers.pause(DEFAULT_TENANT, scene.trigger, actor="test")
    scene.triggers.resume(DEFAULT_TENANT, scene.trigger, actor="test")


def delete(scene: Scene) -> None:
    scene.triggers.delete(DEFAULT_TENANT, scene.trigger, actor="test")


def resolve(scene: Scene) -> None:
    with scene.db.begin() as conn:
        resolve_focus(conn, DEFAULT_TENANT, scene.agent, "orders/42", actor="test")


def move_agent(scene: Scene) -> None:
    change(scene.db, "UPDATE agents SET timezone = 'Asia/Tokyo' WHERE id = :id", id=scene.agent)
    with scene.db.begin() as conn:
        rezone_agent(conn, scene.agent)


def move_tenant(scene: Scene) -> None:
    change(scene.db, "UPDATE tenants SET timezone = 'Asia/Tokyo'")
    with scene.db.begin() as conn:
        rezone_tenant(conn, DEFAULT_TENANT)


def pause_job(scene: Scene) -> None:
    scene.scheduler.pause_job(str(scene.trigger))


def reschedule(scene: Scene) -> None:
    later = ScheduleTrigger("interval", {"minutes": 60}, "UTC", LATER)
    scene.scheduler.reschedule_job(str(scene.trigger), trigger=later)


def rename(scene: Scene) -> None:
    scene.scheduler.modify_job(str(scene.trigger), name="another")


def remove(scene: Scene) -> None:
    scene.scheduler.remove_job(str(scene.trigger))


STOPS: list[Callable[[Scene], None]] = [
    pause,
    pause_and_resume,
    delete,
    resolve,
    move_agent,
    move_tenant,
    pause_job,
    reschedule,
    rename,
    remove,
]


@pytest.mark.parametrize("policy", ["latest", "all", "skip"])
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_what_was_due_meets_its_policy_before_the_trigger_stops_or_moves(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, stop: Callable[[Scene], None], policy: str
) -> None:
    agent = make_agent(db)
    trigger = make_trigger(
        db, agent, config={"seconds": 60}, misfire_policy=policy, grace_seconds=1, focus_ref="orders/42"
    )
    make_due(db, trigger.id, seconds_ago=150)
    stop(Scene(db, triggers, scheduler, agent, trigger.id))
    counts = [row.slot_count for row in firings_by_slot(db, trigger.id)]
    assert counts == {"latest": [3], "all": [1, 1, 1], "skip": []}[policy]
    skipped = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert [row.detail["count"] for row in skipped] == ([3] if policy == "skip" else [])
    assert [said["count"] for said in settled(db, trigger.id)] == ([] if policy == "skip" else [3])
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == len(counts)


def test_a_once_that_is_due_when_it_is_given_another_moment_fires_for_both(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2001-01-01", "allow_past": True})
    changed = triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"at": "2040-01-01"}}, actor="test")
    assert (changed.is_enabled, changed.next_fire_at) == (True, LATER)
    assert [row.scheduled_for for row in firings_by_slot(db, trigger.id)] == [datetime(2001, 1, 1, tzinfo=UTC)]
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


def test_a_once_that_is_due_is_finished_by_a_change_of_another_field(db: Database, triggers: Triggers) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2001-01-01", "allow_past": True})
    changed = triggers.update(DEFAULT_TENANT, trigger.id, {"reason": "r", "is_enabled": True}, actor="test")
    assert (changed.is_enabled, changed.paused_note, changed.fire_count) == (False, "finished", 1)
    assert audited(db, trigger.id) == ["trigger.created", "trigger.settled", "trigger.updated", "trigger.finished"]


def test_the_old_limit_says_how_many_fire_and_the_new_one_whether_it_ends(
    db: Database, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), max_fires=2, misfire_policy="all")
    make_due(db, trigger.id, seconds_ago=270)
    changed = triggers.update(DEFAULT_TENANT, trigger.id, {"max_fires": 3}, actor="test")
    assert (changed.fire_count, changed.is_enabled) == (2, True)
    (skipped,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert skipped.detail["count"] == 3
    assert changed.next_fire_at is not None


def test_a_change_that_is_refused_settles_nothing(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db))
    make_due(db, trigger.id)
    with pytest.raises(InvalidField):
        triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"until": "2020-01-01"}}, actor="test")
    assert firings_by_slot(db, trigger.id) == []
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


def test_what_was_due_before_the_trigger_expired_is_audited_as_skipped(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    agent = make_agent(db)
    made = [make_trigger(db, agent, expires_at=LATER).id for _ in range(2)]
    for each in made:
        make_due(db, each, seconds_ago=150)
    change(db, "UPDATE triggers SET expires_at = clock_timestamp() - interval '50 seconds'")
    triggers.update(DEFAULT_TENANT, made[0], {"expires_at": None}, actor="test")
    scheduler.run_pass()
    told = rows(db, "SELECT subject_id, detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert {row.subject_id: (row.detail["count"], row.detail["why"]) for row in told} == dict.fromkeys(
        made, (2, "expired")
    )
    assert rows(db, "SELECT 1 FROM firings") == []
    assert triggers.get(DEFAULT_TENANT, made[0]).is_enabled


@pytest.mark.parametrize(
    "patch", [{"reason": "another"}, {"max_fires": 9}, {"config": {"seconds": 60}}, None], ids=str
)
def test_a_trigger_whose_last_slot_was_due_when_it_expired_has_expired(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, patch: dict[str, Any] | None
) -> None:
    """Whether a change finds it or a pass (None): that it has expired is looked at first, so it is not `finished`."""
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60}, expires_at=LATER)
    make_due(db, trigger.id, seconds_ago=30)
    change(db, "UPDATE triggers SET expires_at = now(), config = config || jsonb_build_object('until', now())")
    if patch is None:
        scheduler.run_pass()
    else:
        triggers.update(DEFAULT_TENANT, trigger.id, patch, actor="test")
    view = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (view.is_enabled, view.paused_note, view.fire_count) == (False, "expired", 0)
    assert audited(db, trigger.id)[-1] == "trigger.expired"


def test_the_slots_of_an_agent_that_is_deleted_are_audited(db: Database) -> None:
    agent = make_agent(db)
    trigger = make_trigger(db, agent)
    make_due(db, trigger.id, seconds_ago=150)
    with db.begin() as conn:
        delete_agent_triggers(conn, [agent], actor="test")
    assert audited(db, trigger.id) == ["trigger.created", "trigger.skipped", "trigger.deleted"]
    assert firings_by_slot(db, trigger.id) == []


def test_a_trigger_that_cannot_be_read_can_still_be_changed_paused_and_deleted(
    db: Database, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db))
    make_due(db, trigger.id)
    change(db, 'UPDATE triggers SET config = \'{"seconds": "soon"}\'')
    triggers.update(DEFAULT_TENANT, trigger.id, {"config": {"seconds": 90}}, actor="test")
    assert triggers.get(DEFAULT_TENANT, trigger.id).is_enabled
    make_due(db, trigger.id)
    change(db, 'UPDATE triggers SET config = \'{"seconds": "soon"}\'')
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    triggers.delete(DEFAULT_TENANT, trigger.id, actor="test")
    told = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert [row.detail["why"] for row in told] == ["TypeError", "TypeError"]


def test_a_poll_that_is_due_is_looked_at_after_a_change(db: Database, triggers: Triggers) -> None:
    config = {"url": "https://example.org/", "json_path": "$.a"}
    trigger = make_trigger(db, make_agent(db), "poll", config=config)
    due = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    changed = triggers.update(DEFAULT_TENANT, trigger.id, {"reason": "another"}, actor="test")
    assert changed.next_fire_at == due
    assert audited(db, trigger.id) == ["trigger.created", "trigger.updated"]


@pytest.mark.parametrize(("max_fires", "skipped"), [(1, ["max_fires"]), (2, [])])
def test_a_slot_that_is_due_when_the_last_fire_is_by_hand_is_told_of(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, max_fires: int, skipped: list[str]
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60}, max_fires=max_fires)
    make_due(db, trigger.id, seconds_ago=30)
    triggers.fire(DEFAULT_TENANT, trigger.id, actor="test")
    scheduler.run_pass()
    told = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert [row.detail["why"] for row in told] == skipped
    assert len(rows(db, "SELECT 1 FROM firings")) == max_fires
