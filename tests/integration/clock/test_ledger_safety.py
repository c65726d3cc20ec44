"""The scheduler and failures: crashes, bad rows, other schedulers, native jobs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.jobstores.base import JobLookupError
from sqlalchemy import text

from scheduler.clock.jobs import ScheduleTrigger
from scheduler.clock.scheduler import LedgerScheduler
from scheduler.clock.trigger_store import TriggerStore
from scheduler.domain.clock import SystemClock
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.bench.population import populate
from tests.support.database import firings_by_slot, rows
from tests.support.factories import DEFAULT_TENANT, make_agent, make_due, make_trigger
from tests.support.stepped_scheduler import SteppedScheduler, stepped


def test_a_row_that_cannot_be_read_is_quarantined_and_stops_no_other(
    db: Database, scheduler: SteppedScheduler, triggers: Triggers
) -> None:
    agent = make_agent(db)
    good, bad = make_trigger(db, agent), make_trigger(db, agent)
    for each in (good, bad):
        make_due(db, each.id)
    with db.begin() as conn:
        conn.execute(text('UPDATE triggers SET config = \'{"seconds": "soon"}\' WHERE id = :id'), {"id": bad.id})
    scheduler.run_pass()
    assert len(firings_by_slot(db, good.id)) == 1
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
    with db.begin() as conn:  # like a constraint of a later version, or a type overflow
        conn.execute(text(f"ALTER TABLE firings ADD CONSTRAINT no_bad CHECK (trigger_id <> '{bad}')"))
    for _ in range(12):
        scheduler.run_pass()
    recorded = rows(db, "SELECT trigger_id, count(*) AS n FROM firings GROUP BY 1")
    assert {row.trigger_id: row.n for row in recorded} == dict.fromkeys(set(all_ids) - {bad}, 1)
    (stopped,) = rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=bad)
    assert not stopped.is_enabled
    assert "no_bad" in stopped.paused_note


def test_full_passes_that_are_written_beside_each_other_record_every_slot_once(db: Database) -> None:
    count = 3 * TriggerStore.max_rows + 100
    populate(db, count)
    with stepped(db) as scheduler:
        _make_all_due(db)
        while scheduler.run_pass() == 0:
            pass
        assert rows(db, "SELECT count(*) AS n, count(DISTINCT trigger_id) AS d FROM firings") == [(count, count)]
        assert rows(db, "SELECT sum(firing_count) AS n FROM invocations") == [(count,)]
        assert rows(db, "SELECT 1 FROM triggers WHERE fire_count <> 1") == []


def test_a_bad_row_in_a_pass_that_is_written_beside_the_next_is_found_too(db: Database) -> None:
    count = 2 * TriggerStore.max_rows
    populate(db, count)
    bad = rows(db, "SELECT trigger_id FROM jobs ORDER BY trigger_id LIMIT 1")[0].trigger_id
    with db.begin() as conn:
        conn.execute(text(f"ALTER TABLE firings ADD CONSTRAINT no_bad CHECK (trigger_id <> '{bad}')"))
    with stepped(db) as scheduler:
        _make_all_due(db)
        for _ in range(80):
            scheduler.run_pass()
    assert rows(db, "SELECT count(*) AS n, count(DISTINCT trigger_id) AS d FROM firings") == [
        (count - 1, count - 1)
    ]
    (stopped,) = rows(db, "SELECT is_enabled, paused_note FROM triggers WHERE id = :id", id=bad)
    assert not stopped.is_enabled
    assert "no_bad" in stopped.paused_note


def _make_all_due(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE jobs SET next_run_time = date_trunc('minute', clock_timestamp())"))


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
    assert len(firings_by_slot(db, trigger.id)) == 1
    assert triggers.get(DEFAULT_TENANT, trigger.id).fire_count == 1
    assert rows(db, "SELECT 1 FROM invocations WHERE state = 'collecting'") == []


def test_a_pass_that_dies_before_its_commit_leaves_nothing(db: Database, scheduler: SteppedScheduler) -> None:
    trigger = make_trigger(db, make_agent(db))
    make_due(db, trigger.id)
    store = scheduler._ledgers["default"]
    for job in store.get_due_jobs(datetime.now(UTC)):  # noqa: TID251
        store.submit(job)
    assert store._pass is not None
    store._pass.prepare()
    store._pass.write()
    store.abandon()
    assert firings_by_slot(db, trigger.id) == []
    scheduler.run_pass()
    assert len(firings_by_slot(db, trigger.id)) == 1


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
    assert len(firings_by_slot(db, trigger.id)) == 1
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
    assert beat.age < timedelta(seconds=60)


def test_a_shutdown_lets_the_pass_that_runs_end(db: Database) -> None:
    """APScheduler removes the job of a once trigger, which it refuses to do after it considers itself stopped."""
    agent = make_agent(db)
    scheduler = LedgerScheduler(db, SystemClock())
    for _ in range(50):
        make_trigger(db, agent, "once", config={"at": "2001-01-01", "allow_past": True})
    scheduler.start()
    while not rows(db, "SELECT 1 FROM firings"):
        pass
    make_trigger(db, agent, "once", config={"at": "2001-01-01", "allow_past": True})
    scheduler.wakeup()
    scheduler.shutdown()
    left = rows(db, "SELECT count(*) AS n FROM jobs WHERE next_run_time IS NOT NULL")
    fired = rows(db, "SELECT count(*) AS n FROM firings")
    assert fired[0].n + left[0].n == 51
    assert rows(db, "SELECT 1 FROM scheduler_processes") == []
