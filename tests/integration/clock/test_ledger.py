"""The scheduler's pass: firings, windows and jobs in one commit, whatever is wrong with a neighbour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.database import firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler


def test_a_due_job_becomes_a_firing_in_a_window_and_runs_next_one_step_on(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), reason="look at the mail", focus_ref="inbox")
    make_due(db, trigger.id)
    slot = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    scheduler.run_pass()
    (firing,) = firings_by_slot(db, trigger.id)
    assert (firing.first_scheduled_for, firing.scheduled_for, firing.slot_count) == (slot, slot, 1)
    assert (firing.trigger_name, firing.reason, firing.focus_ref) == (trigger.name, "look at the mail", "inbox")
    (window,) = rows(db, "SELECT * FROM invocations")
    assert (window.id, window.state, window.firing_count) == (firing.invocation_id, "collecting", 1)
    assert window.due_at - firing.fired_at == timedelta(seconds=30)
    after = triggers.get(DEFAULT_TENANT, trigger.id)
    assert slot is not None
    assert (after.next_fire_at, after.fire_count, after.last_fired_at) == (
        slot + timedelta(seconds=60),
        1,
        firing.fired_at,
    )
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


def test_all_firings_of_an_agent_share_its_window_and_other_agents_have_their_own(
    db: Database, scheduler: SteppedScheduler
) -> None:
    ada, bob = make_agent(db, "ada"), make_agent(db, "bob")
    for agent in (ada, ada, bob):
        make_due(db, make_trigger(db, agent).id)
    scheduler.run_pass()
    counts = rows(db, "SELECT agent_id, firing_count FROM invocations")
    assert {row.agent_id: row.firing_count for row in counts} == {ada: 2, bob: 1}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("latest", [10]), ("all", [1] * 10), ("skip", [1])],
)
def test_slots_that_passed_meet_the_misfire_policy(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers, policy: str, expected: list[int]
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60}, misfire_policy=policy, grace_seconds=60)
    make_due(db, trigger.id, seconds_ago=9 * 60 + 30)
    scheduler.run_pass()
    recorded = firings_by_slot(db, trigger.id)
    assert [row.slot_count for row in recorded] == expected
    following = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    assert following is not None
    assert following - recorded[-1].scheduled_for == timedelta(seconds=60)
    skipped = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert [row.detail["count"] for row in skipped] == ([9] if policy == "skip" else [])


def test_a_long_outage_of_policy_all_makes_the_newest_hundred_and_the_first_represents_the_rest(
    db: Database, scheduler: SteppedScheduler
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60}, misfire_policy="all")
    make_due(db, trigger.id, seconds_ago=499 * 60 + 30)
    scheduler.run_pass()
    counts = [row.slot_count for row in firings_by_slot(db, trigger.id)]
    assert (len(counts), counts[0], sum(counts)) == (100, 401, 500)


def test_a_once_fires_however_late_and_is_then_disabled(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2001-01-01", "allow_past": True})
    scheduler.run_pass()
    (firing,) = firings_by_slot(db, trigger.id)
    assert firing.scheduled_for == datetime(2001, 1, 1, tzinfo=UTC)
    ended = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "finished", None)
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


def test_max_fires_disables_in_the_transaction_of_the_last_firing(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), max_fires=2, misfire_policy="all")
    make_due(db, trigger.id, seconds_ago=300)
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 2
    ended = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at, ended.fire_count) == (
        False,
        "max_fires",
        None,
        2,
    )


def test_an_idle_trigger_expires_on_time_and_says_so(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    expires = datetime(2040, 1, 1, tzinfo=UTC)
    for kind_name in ("interval", "webhook"):
        make_trigger(db, make_agent(db, kind_name), kind_name, expires_at=expires)
    with db.begin() as conn:
        conn.execute(text("UPDATE triggers SET expires_at = clock_timestamp() - interval '1 second'"))
        conn.execute(text("UPDATE jobs SET next_run_time = clock_timestamp() WHERE kind = 'expiry'"))
    scheduler.run_pass()
    ended = triggers.list(DEFAULT_TENANT)
    assert [(each.is_enabled, each.paused_note, each.next_fire_at) for each in ended] == [
        (False, "expired", None)
    ] * 2
    assert len(rows(db, "SELECT 1 FROM audit_events WHERE action = 'trigger.expired'")) == 2
    assert rows(db, "SELECT 1 FROM firings") == []


def test_cooldown_delays_waking_and_never_recording(db: Database, scheduler: SteppedScheduler) -> None:
    trigger = make_trigger(db, make_agent(db, dedup_delay_seconds=0), config={"seconds": 1}, cooldown_seconds=600)
    make_due(db, trigger.id)
    scheduler.run_pass()
    with db.begin() as conn:
        conn.execute(text("UPDATE invocations SET state = 'succeeded'"))
    make_due(db, trigger.id)
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 2
    (wait,) = rows(db, "SELECT due_at - opened_at AS wait FROM invocations WHERE state = 'collecting'")
    assert timedelta(seconds=595) < wait.wait <= timedelta(seconds=600)


def test_a_cooling_firing_rides_in_a_window_that_closes_sooner(db: Database, scheduler: SteppedScheduler) -> None:
    agent = make_agent(db)
    cooling = make_trigger(db, agent, cooldown_seconds=600)
    with db.begin() as conn:
        conn.execute(text("UPDATE triggers SET last_wake_at = clock_timestamp()"))
    fresh = make_trigger(db, agent)
    for each in (cooling, fresh):
        make_due(db, each.id)
    scheduler.run_pass()
    (window,) = rows(db, "SELECT due_at - opened_at AS wait, firing_count FROM invocations")
    assert (window.wait, window.firing_count) == (timedelta(seconds=30), 2)


def test_an_urgent_trigger_closes_the_window_now(db: Database, scheduler: SteppedScheduler) -> None:
    agent = make_agent(db)
    make_due(db, make_trigger(db, agent).id)
    make_due(db, make_trigger(db, agent, urgent=True).id)
    scheduler.run_pass()
    scheduler.run_pass()
    (window,) = rows(db, "SELECT state, firing_ids FROM invocations")
    assert (window.state, len(window.firing_ids)) == ("ready", 2)


def test_a_full_window_closes_early_and_the_newest_firings_open_the_next(
    db: Database, scheduler: SteppedScheduler
) -> None:
    agent = make_agent(db, max_batch=3)
    for _ in range(5):
        make_due(db, make_trigger(db, agent).id)
    scheduler.run_pass()
    scheduler.run_pass()
    counts = rows(db, "SELECT state, firing_count FROM invocations ORDER BY state DESC")
    assert [(row.state, row.firing_count) for row in counts] == [("ready", 3), ("collecting", 2)]
