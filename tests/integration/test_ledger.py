"""The scheduler's pass: firings, windows and jobs in one commit, whatever is wrong with a neighbour."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from apscheduler.jobstores.base import JobLookupError
from sqlalchemy import Row, text

from scheduler.clock.jobs import ScheduleTrigger
from scheduler.clock.sync import Triggers
from scheduler.storage.engine import Database
from tests.clockwork import SteppedScheduler, stepped
from tests.factories import BOX, DEFAULT_TENANT, make_agent, make_due, make_trigger


@pytest.fixture
def db(sqlalchemy_url: str) -> Iterator[Database]:
    database = Database(sqlalchemy_url, pool_size=5)
    yield database
    database.dispose()


@pytest.fixture
def scheduler(db: Database) -> Iterator[SteppedScheduler]:
    with stepped(db) as one:
        yield one


@pytest.fixture
def triggers(db: Database) -> Triggers:
    return Triggers(db, BOX)


def rows(db: Database, query: str, **values: object) -> list[Row[Any]]:
    with db.begin() as conn:
        return list(conn.execute(text(query), values))


def firings(db: Database, trigger_id: UUID) -> list[Row[Any]]:
    return rows(db, "SELECT * FROM firings WHERE trigger_id = :id ORDER BY scheduled_for", id=trigger_id)


def test_a_due_job_becomes_a_firing_in_a_window_and_runs_next_one_step_on(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), reason="look at the mail", focus_ref="inbox")
    make_due(db, trigger.id)
    slot = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    scheduler.run_pass()
    (firing,) = firings(db, trigger.id)
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
    assert len(firings(db, trigger.id)) == 1


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
    recorded = firings(db, trigger.id)
    assert [row.slot_count for row in recorded] == expected
    following = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    assert following is not None
    assert following - recorded[-1].scheduled_for == timedelta(seconds=60)
    skipped = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.skipped'")
    assert [row.detail["count"] for row in skipped] == ([9] if policy == "skip" else [])


def test_a_long_outage_of_policy_all_makes_the_newest_hundred_and_the_first_stands_for_the_rest(
    db: Database, scheduler: SteppedScheduler
) -> None:
    trigger = make_trigger(db, make_agent(db), config={"seconds": 60}, misfire_policy="all")
    make_due(db, trigger.id, seconds_ago=499 * 60 + 30)
    scheduler.run_pass()
    counts = [row.slot_count for row in firings(db, trigger.id)]
    assert (len(counts), counts[0], sum(counts)) == (100, 401, 500)


def test_a_once_fires_however_late_and_is_then_disabled(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), "once", config={"at": "2001-01-01", "allow_past": True})
    scheduler.run_pass()
    (firing,) = firings(db, trigger.id)
    assert firing.scheduled_for == datetime(2001, 1, 1, tzinfo=UTC)
    ended = triggers.get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "finished", None)
    scheduler.run_pass()
    assert len(firings(db, trigger.id)) == 1


def test_max_fires_disables_in_the_transaction_of_the_last_firing(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db), max_fires=2, misfire_policy="all")
    make_due(db, trigger.id, seconds_ago=300)
    scheduler.run_pass()
    assert len(firings(db, trigger.id)) == 2
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
    for type_name in ("interval", "webhook"):
        make_trigger(db, make_agent(db, type_name), type_name, expires_at=expires)
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
    assert len(firings(db, trigger.id)) == 2
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


def test_a_row_that_cannot_be_read_is_quarantined_and_stops_nobody_else(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    agent = make_agent(db)
    good, bad = make_trigger(db, agent), make_trigger(db, agent)
    for each in (good, bad):
        make_due(db, each.id)
    with db.begin() as conn:
        conn.execute(text('UPDATE triggers SET config = \'{"seconds": "soon"}\' WHERE id = :id'), {"id": bad.id})
    scheduler.run_pass()
    assert len(firings(db, good.id)) == 1
    stopped = triggers.get(DEFAULT_TENANT, bad.id)
    assert (stopped.is_enabled, stopped.next_fire_at) == (False, None)
    assert (stopped.paused_note or "").startswith("quarantined: TypeError")
    assert len(rows(db, "SELECT 1 FROM audit_events WHERE action = 'trigger.quarantined'")) == 1


def test_a_row_that_cannot_be_written_is_found_by_halving_and_quarantined(
    db: Database, scheduler: SteppedScheduler
) -> None:
    agent = make_agent(db)
    all_ids = [make_trigger(db, agent).id for _ in range(9)]
    for each in all_ids:
        make_due(db, each)
    bad = all_ids[4]
    with db.begin() as conn:  # as a constraint of a later version, or a full type, would
        conn.execute(text(f"ALTER TABLE firings ADD CONSTRAINT no_bad CHECK (trigger_id <> '{bad}')"))
    for _ in range(12):
        scheduler.run_pass()
    recorded = rows(db, "SELECT trigger_id, count(*) AS n FROM firings GROUP BY 1")
    assert {row.trigger_id: row.n for row in recorded} == dict.fromkeys(set(all_ids) - {bad}, 1)
    (stopped,) = rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=bad)
    assert not stopped.is_enabled
    assert "no_bad" in stopped.paused_note


def test_an_occurrence_that_is_already_recorded_is_not_recorded_again(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db))
    make_due(db, trigger.id)
    before = triggers.get(DEFAULT_TENANT, trigger.id).next_fire_at
    scheduler.run_pass()
    with db.begin() as conn:
        conn.execute(text("UPDATE jobs SET next_run_time = :slot"), {"slot": before})
        conn.execute(text("UPDATE invocations SET state = 'cancelled'"))
    scheduler.run_pass()
    assert len(firings(db, trigger.id)) == 1
    assert triggers.get(DEFAULT_TENANT, trigger.id).fire_count == 1
    assert rows(db, "SELECT 1 FROM invocations WHERE state = 'collecting'") == []


def test_a_pass_that_dies_before_its_commit_leaves_nothing(db: Database, scheduler: SteppedScheduler) -> None:
    trigger = make_trigger(db, make_agent(db))
    make_due(db, trigger.id)
    store = scheduler._ledgers["default"]
    for job in store.get_due_jobs(datetime.now(UTC)):  # noqa: TID251
        store.submit(job)
    assert store._conn is not None
    store.write(store._conn)
    store.abandon()
    assert firings(db, trigger.id) == []
    scheduler.run_pass()
    assert len(firings(db, trigger.id)) == 1


def test_a_pause_that_arrives_while_a_pass_is_under_way_wins(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db))
    make_due(db, trigger.id)
    store = scheduler._ledgers["default"]
    for job in store.get_due_jobs(datetime.now(UTC)):  # noqa: TID251
        store.submit(job)
    with ThreadPoolExecutor(1) as pool:
        pausing = pool.submit(triggers.pause, DEFAULT_TENANT, trigger.id, actor="test")
        while not rows(db, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not pausing.done()
        store.get_next_run_time()
        paused = pausing.result()
    assert len(firings(db, trigger.id)) == 1
    assert (paused.is_enabled, paused.next_fire_at) == (False, None)


def test_two_schedulers_share_the_due_jobs_and_none_is_fired_twice(db: Database) -> None:
    agents = [make_agent(db, f"agent {n}") for n in range(5)]
    ids = [make_trigger(db, agent, config={"seconds": 3600}).id for agent in agents for _ in range(40)]
    with db.begin() as conn:
        conn.execute(text("UPDATE jobs SET next_run_time = next_run_time - interval '1 hour'"))

    def run() -> None:
        with stepped(db) as one:
            for _ in range(5):
                one.run_pass()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(run) for _ in range(3)]:
            done.result()
    recorded = rows(db, "SELECT trigger_id, count(*) AS n FROM firings GROUP BY 1")
    assert {row.trigger_id: row.n for row in recorded} == dict.fromkeys(ids, 1)


def test_native_jobs_are_listed_paused_resumed_rescheduled_and_removed_with_their_trigger(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    agent = make_agent(db)
    made = [
        make_trigger(db, agent, "interval", config={"seconds": 60}),
        make_trigger(db, agent, "cron", config={"expr": "0 9 * * *"}),
        make_trigger(db, agent, "once", config={"at": "2030-01-01T09:00:00Z"}),
    ]
    listed = {job.id: job for job in scheduler.get_jobs("default")}
    assert {key: job.next_run_time for key, job in listed.items()} == {str(t.id): t.next_fire_at for t in made}
    for trigger in made:
        job_id = str(trigger.id)
        scheduler.pause_job(job_id)
        paused = triggers.get(DEFAULT_TENANT, trigger.id)
        assert (paused.is_enabled, paused.next_fire_at) == (False, None)
        scheduler.resume_job(job_id)
        resumed = triggers.get(DEFAULT_TENANT, trigger.id)
        assert (resumed.is_enabled, resumed.next_fire_at) == (True, trigger.next_fire_at)
        later = ScheduleTrigger("once", {"at": "2031-01-01T09:00:00Z"}, "UTC", datetime(2020, 1, 1, tzinfo=UTC))
        scheduler.reschedule_job(job_id, trigger=later)
        moved = triggers.get(DEFAULT_TENANT, trigger.id)
        assert (moved.type, moved.next_fire_at) == ("once", datetime(2031, 1, 1, 9, tzinfo=UTC))
        scheduler.remove_job(job_id)
        assert trigger.id not in {each.id for each in triggers.list(DEFAULT_TENANT)}
        with pytest.raises(JobLookupError):
            scheduler.remove_job(job_id)


def test_a_removed_trigger_takes_its_native_job_with_it(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    trigger = make_trigger(db, make_agent(db))
    triggers.delete(DEFAULT_TENANT, trigger.id, actor="test")
    assert scheduler.get_job(str(trigger.id)) is None


def test_without_a_notify_the_scheduler_looks_again_within_five_seconds(
    db: Database, scheduler: SteppedScheduler
) -> None:
    assert scheduler.run_pass() == 5.0
    make_trigger(db, make_agent(db), config={"seconds": 2})
    assert 0 < scheduler.run_pass() <= 2.0


def test_windows_are_native_date_jobs(db: Database, scheduler: SteppedScheduler) -> None:
    make_due(db, make_trigger(db, make_agent(db)).id)
    scheduler.run_pass()
    (window,) = rows(db, "SELECT id, due_at FROM invocations")
    (job,) = scheduler.get_jobs("windows")
    assert (job.id, job.next_run_time) == (str(window.id), window.due_at)
    with pytest.raises(TypeError):
        scheduler.remove_job(job.id, "windows")


def test_the_heartbeat_tells_of_passes_and_recorded_firings(db: Database, scheduler: SteppedScheduler) -> None:
    make_due(db, make_trigger(db, make_agent(db)).id)
    scheduler.run_pass()
    (beat,) = rows(db, "SELECT passes, recorded, clock_timestamp() - last_pass_at AS age FROM scheduler_processes")
    assert (beat.passes, beat.recorded) == (1, 1)
    assert beat.age < timedelta(seconds=5)
