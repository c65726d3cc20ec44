"""Recovery after a process died or a message was lost."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed, Replied
from scheduler.invocations.lifecycle import request_cancel
from scheduler.invocations.recovery import ReconcileResult, SweepResult, reconcile, sweep_stalled
from scheduler.storage.advisory_locks import AdvisoryLock, try_lock
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import (
    bring_to,
    close,
    end,
    fire,
    make_agent_with_trigger,
    queued_jobs,
    ready_one,
    row_of,
    start,
    window_of,
)
from tests.support.lost_workers import FRESH, OLD, fetch_all_jobs

S = InvocationState


# The sweeper


def test_the_run_of_a_lost_worker_is_retried(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, OLD)
    claimed = start(db, invocation_id)
    assert sweep_stalled(db) == SweepResult(stalled=1)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.worker) == ("retrying", "worker_lost", None)
    assert row.tries[0]["outcome"] == "failed"
    assert queued_jobs(db) == []
    assert not end(db, claimed, Replied("from the dead")), "the worker that was thought dead is fenced off"
    assert sweep_stalled(db) == SweepResult()


def test_a_run_that_keeps_killing_its_worker_ends_dead(db: Database) -> None:
    invocation_id = ready_one(db)
    for _ in range(5):
        fetch_all_jobs(db, OLD)
        start(db, invocation_id)
        sweep_stalled(db)
        change(db, "UPDATE invocations SET due_at = now() WHERE state = 'retrying'")
        close(db)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("dead", "worker_lost")


def test_a_worker_with_a_fresh_heartbeat_keeps_its_runs(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, FRESH)
    start(db, invocation_id)
    assert sweep_stalled(db) == SweepResult()
    assert row_of(db, invocation_id).state == "running"
    assert sweep_stalled(db, timedelta(seconds=5)) == SweepResult(stalled=1)


def test_the_run_of_a_worker_that_was_removed_is_retried_too(db: Database) -> None:
    invocation_id = ready_one(db)
    worker_id = fetch_all_jobs(db, FRESH)
    start(db, invocation_id)
    change(db, "DELETE FROM procrastinate_workers WHERE id = :id", id=worker_id)
    assert sweep_stalled(db) == SweepResult(stalled=1)
    assert row_of(db, invocation_id).state == "retrying"


def test_a_job_lost_between_fetch_and_claim_is_queued_again(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, OLD)
    assert sweep_stalled(db) == SweepResult(stalled=1)
    assert row_of(db, invocation_id).state == "ready"
    assert queued_jobs(db) == [("todo", {"runs": [[str(invocation_id), 1]]})]


def test_the_stalled_job_of_an_earlier_attempt_does_not_touch_the_current_one(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, OLD)
    end(db, start(db, invocation_id), Failed("HTTP 500"))
    change(db, "UPDATE invocations SET due_at = now()")
    close(db)
    start(db, invocation_id)
    assert sweep_stalled(db) == SweepResult(stalled=1)
    row = row_of(db, invocation_id)
    assert (row.state, row.attempt) == ("running", 2)


def test_a_cancelled_run_whose_worker_is_gone_is_cancelled(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, OLD)
    start(db, invocation_id)
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
    sweep_stalled(db)
    assert row_of(db, invocation_id).state == "cancelled"


def test_a_cancelled_invocation_that_nobody_reports_on_is_ended(db: Database) -> None:
    invocation_id = bring_to(db, make_agent_with_trigger(db), S.AWAITING)
    change(db, "DELETE FROM procrastinate_jobs")
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
    assert sweep_stalled(db) == SweepResult(awaited=1)
    assert row_of(db, invocation_id).state == "cancelled"


@pytest.mark.parametrize("duty", [sweep_stalled, reconcile])
@pytest.mark.parametrize(
    ("has_reported", "runtime"), [(True, {}), (False, {"accepted": "awaits"}), (True, {"accepted": "awaits"})]
)
def test_an_agent_that_accepted_and_did_not_report_is_retried_at_its_deadline(
    db: Database, duty: object, has_reported: bool, runtime: dict[str, str]
) -> None:
    assert callable(duty)
    invocation_id = bring_to(db, make_agent_with_trigger(db, runtime=runtime), S.AWAITING)
    if has_reported:
        change(db, "UPDATE agents SET reported_at = now()")
    change(db, "DELETE FROM procrastinate_jobs")
    duty(db)
    assert row_of(db, invocation_id).state == "awaiting", "it is left alone until then"
    change(db, "UPDATE invocations SET deadline_at = now()")
    duty(db)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("retrying", "deadline")


@pytest.mark.parametrize("duty", [sweep_stalled, reconcile])
def test_an_agent_that_says_202_by_habit_is_called_once(db: Database, duty: object) -> None:
    """It has never reported: at its deadline its work counts as done, because another attempt would repeat it."""
    assert callable(duty)
    woken = make_agent_with_trigger(db)
    invocation_id = bring_to(db, woken, S.AWAITING)
    change(db, "DELETE FROM procrastinate_jobs")
    change(db, "UPDATE invocations SET deadline_at = now()")
    duty(db)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.reply, len(row.tries)) == ("succeeded", "no_report", "", 1)
    assert rows(db, "SELECT count(*) AS n FROM notifications")[0].n == 0


def test_only_one_process_sweeps_at_a_time(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, OLD)
    start(db, invocation_id)
    with db.begin() as other:
        assert try_lock(other, AdvisoryLock.SWEEP)
        assert sweep_stalled(db) == SweepResult()
    assert sweep_stalled(db) == SweepResult(stalled=1)


# The reconciler


def test_a_sound_database_needs_no_repair(db: Database) -> None:
    for state in reversed(InvocationState):
        woken = make_agent_with_trigger(db, state)
        bring_to(db, woken, state)
        if state in (S.RUNNING, S.RETRYING):
            fire(db, woken)
            assert close(db).held == 1
    assert reconcile(db, newer_than=None) == ReconcileResult()


def test_a_ready_invocation_without_a_job_gets_one(db: Database) -> None:
    invocation_id = ready_one(db)
    change(db, "DELETE FROM procrastinate_jobs")
    assert reconcile(db) == ReconcileResult(requeued=1)
    assert queued_jobs(db) == [("todo", {"runs": [[str(invocation_id), 1]]})]
    with db.begin() as conn:
        detail = conn.execute(
            text("SELECT detail FROM audit_events WHERE action = 'invocation.repaired'")
        ).scalar_one()
    assert detail["requeued"] == 1


def test_a_running_invocation_without_a_job_is_retried(db: Database) -> None:
    invocation_id = ready_one(db)
    start(db, invocation_id)
    change(db, "DELETE FROM procrastinate_jobs")
    assert reconcile(db) == ReconcileResult(lost=1)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("retrying", "worker_lost")


@pytest.mark.parametrize("reason", ["busy", "paused", None])
def test_a_window_that_is_held_for_nothing_is_freed(db: Database, reason: str | None) -> None:
    fire(db, make_agent_with_trigger(db))
    change(db, "UPDATE invocations SET due_at = NULL, held_reason = :reason", reason=reason)
    assert reconcile(db) == ReconcileResult(freed=1)
    assert len(close(db).ready) == 1


def test_what_holds_a_window_rightly_is_left_alone(db: Database) -> None:
    paused, busy = make_agent_with_trigger(db, "paused", is_paused=True), make_agent_with_trigger(db, "busy")
    fire(db, paused)
    fire(db, busy)
    close(db)
    fire(db, busy)
    close(db)
    spent = make_agent_with_trigger(db, "spent", max_invocations_per_hour=1)
    run = ready_one(db, spent)
    end(db, start(db, run), Replied("done"))
    fire(db, spent)
    assert close(db).held == 1
    assert reconcile(db) == ReconcileResult()
    assert {window_of(db, each).held_reason for each in (paused, busy, spent)} == {"paused", "busy", "budget"}


@pytest.mark.parametrize("how", ["missing", "over"])
def test_firings_whose_invocation_is_missing_or_over_are_put_into_the_agents_window(
    db: Database, how: str
) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken, 2)
    if how == "missing":
        change(db, "DELETE FROM invocations")
    else:
        change(db, "UPDATE invocations SET state = 'dead', due_at = NULL")
    joined = fire(db, woken)
    assert reconcile(db) == ReconcileResult(rescued=2)
    [invocation_id] = close(db).ready
    row = row_of(db, invocation_id)
    assert (row.firing_ids, row.firing_count) == (firings + joined, 3)
    assert reconcile(db) == ReconcileResult()


def test_old_firings_are_looked_at_only_when_all_are_asked_for(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken, id=UUID("01900000-0000-7000-8000-000000000000"))
    change(db, "DELETE FROM invocations")
    assert reconcile(db) == ReconcileResult()
    assert reconcile(db, newer_than=None) == ReconcileResult(rescued=1)


def test_the_job_that_a_worker_could_not_delete_is_removed_later(db: Database) -> None:
    invocation_id = ready_one(db)
    fetch_all_jobs(db, FRESH)
    end(db, start(db, invocation_id), Replied("done"))
    assert reconcile(db) == ReconcileResult(), "its worker is about to delete it"
    change(db, "UPDATE invocations SET finished_at = now() - interval '2 minutes'")
    assert reconcile(db) == ReconcileResult(leftover_jobs=1)
    assert queued_jobs(db) == []
