"""Jobs of many invocations whose worker is lost, and jobs of an earlier version."""

from __future__ import annotations

from scheduler.domain.run import HandedBack, Replied
from scheduler.invocations.recovery import ReconcileResult, SweepResult, reconcile, sweep_stalled
from scheduler.storage.engine import Database
from tests.support.database import change
from tests.support.invocations import (
    close,
    end,
    fire,
    make_agent_with_trigger,
    queued_jobs,
    ready_one,
    row_of,
    start,
)
from tests.support.lost_workers import OLD, fetch_all_jobs


def test_each_invocation_of_a_lost_job_is_handled_separately(db: Database) -> None:
    for number in range(4):
        fire(db, make_agent_with_trigger(db, f"agent {number}"))
    ended, ran, waited, moved_on = close(db).ready
    fetch_all_jobs(db, OLD)
    end(db, start(db, ended), Replied("done"))
    start(db, ran)
    end(db, start(db, moved_on), HandedBack("worker_shutdown"))
    assert sweep_stalled(db) == SweepResult(stalled=1)
    assert [row_of(db, each).state for each in (ended, ran, waited, moved_on)] == [
        "succeeded",
        "retrying",
        "ready",
        "retrying",
    ]
    assert row_of(db, ran).reason == "worker_lost"
    assert [each["outcome"] for each in row_of(db, moved_on).tries] == ["handed_back"]
    assert queued_jobs(db) == [("todo", {"runs": [[str(waited), 1]]})]


def test_a_job_that_an_earlier_version_queued_is_found_and_taken_over(db: Database) -> None:
    invocation_id = ready_one(db)
    change(
        db,
        "UPDATE procrastinate_jobs SET args = jsonb_build_object("
        "'invocation_id', args->'runs'->0->0, 'attempt', args->'runs'->0->1)",
    )
    assert reconcile(db) == ReconcileResult()
    fetch_all_jobs(db, OLD)
    assert sweep_stalled(db) == SweepResult(stalled=1)
    assert queued_jobs(db) == [("todo", {"runs": [[str(invocation_id), 1]]})]
