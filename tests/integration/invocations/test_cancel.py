"""Cancelling: what a run that was told to stop may still do, and what a cancelled invocation frees."""

from __future__ import annotations

import pytest

from scheduler.domain.model import InvocationState
from scheduler.domain.run import Failed, Outcome, Replied
from scheduler.invocations.lifecycle import complete, request_cancel
from scheduler.storage.engine import Database
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import (
    WORKER,
    audited,
    bring_to,
    claim,
    close,
    finish,
    fire,
    make_agent_with_trigger,
    queued_jobs,
    row_of,
    window_of,
)

S = InvocationState


@pytest.mark.parametrize("outcome", [Replied("done"), Failed("no"), Failed("no", permanent=True)])
def test_whatever_ends_a_cancelled_run_it_is_cancelled(db: Database, outcome: Outcome) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id = bring_to(db, woken, S.RUNNING)
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
        assert finish(conn, invocation_id, 1, outcome)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason, row.tries[0]["outcome"]) == ("cancelled", "cancelled", "cancelled")
    assert audited(db, invocation_id) == ["invocation.cancel_requested", "invocation.cancelled"]


def test_an_agent_may_still_report_on_a_cancelled_run(db: Database) -> None:
    invocation_id = bring_to(db, make_agent_with_trigger(db), S.AWAITING)
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
        complete(conn, invocation_id, 1, reply="done anyway", tenant_id=DEFAULT_TENANT, actor="key:test")
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("cancelled", "done anyway")


def test_the_job_of_a_cancelled_invocation_finds_nothing_to_do(db: Database) -> None:
    invocation_id = bring_to(db, make_agent_with_trigger(db), S.CANCELLED)
    assert [status for status, _ in queued_jobs(db)] == ["todo"]
    with db.begin() as conn:
        assert claim(conn, invocation_id, WORKER, attempt=1) is None


def test_cancelling_a_ready_invocation_frees_its_agent(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id = bring_to(db, woken, S.READY)
    fire(db, woken)
    assert close(db).held == 1
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
    assert window_of(db, woken).due_at is not None


def test_cancelling_a_window_lets_the_next_firing_open_a_new_one(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id = bring_to(db, woken, S.COLLECTING)
    with db.begin() as conn:
        request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test")
    fire(db, woken)
    assert window_of(db, woken).id != invocation_id
