"""Invocations that an agent accepted: they await its report, and the report ends them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scheduler.domain.errors import Conflict, NotFound, Unauthorized
from scheduler.domain.ids import new_id
from scheduler.domain.model import InvocationState
from scheduler.domain.run import Accepted, HandedBack
from scheduler.invocations.lifecycle import complete, request_cancel
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import DEFAULT_TENANT, make_tenant
from tests.support.invocations import (
    bring_to,
    close,
    end,
    fire,
    make_agent_with_trigger,
    ready_one,
    row_of,
    run_once,
    start,
)


def test_an_accepted_invocation_awaits_its_report_for_the_agents_timeout(db: Database) -> None:
    fire(db, make_agent_with_trigger(db, timeout_seconds=90))
    row = row_of(db, run_once(db, Accepted()))
    assert row.state == "awaiting"
    assert timedelta(seconds=45) < row.deadline_at - row.now <= timedelta(seconds=90)
    assert row.tries == []
    assert row.finished_at is None


def test_a_token_completes_its_attempt_once(db: Database) -> None:
    invocation_id = ready_one(db)
    claimed = start(db, invocation_id)
    end(db, claimed, Accepted())
    with db.begin() as conn:
        with pytest.raises(Unauthorized):
            complete(conn, invocation_id, 1, reply="forged", token="guess")
        with pytest.raises(Unauthorized):
            complete(conn, invocation_id, 1, reply="forged")
        with pytest.raises(Conflict):
            complete(conn, invocation_id, 2, reply="early", token=claimed.complete_token)
        complete(conn, invocation_id, 1, reply="done", token=claimed.complete_token)
        with pytest.raises(Conflict):
            complete(conn, invocation_id, 1, reply="twice", token=claimed.complete_token)
    row = row_of(db, invocation_id)
    assert (row.state, row.reply, row.deadline_at) == ("succeeded", "done", None)
    assert [each["outcome"] for each in row.tries] == ["succeeded"]


@pytest.mark.parametrize("error", [None, "no"])
def test_the_first_report_of_an_agent_is_remembered(db: Database, error: str | None) -> None:
    invocation_id = ready_one(db)
    claimed = start(db, invocation_id)
    end(db, claimed, Accepted())
    assert [row.reported_at for row in rows(db, "SELECT reported_at FROM agents")] == [None]
    with db.begin() as conn:
        complete(conn, invocation_id, 1, error=error, token=claimed.complete_token)
    assert all(row.reported_at for row in rows(db, "SELECT reported_at FROM agents"))


def test_without_its_token_nothing_is_told_of_an_invocation(db: Database) -> None:
    invocation_id = ready_one(db)
    with db.begin() as conn:
        for unknown, attempt in ((invocation_id, 1), (invocation_id, 7), (new_id(), 1)):
            with pytest.raises(Unauthorized):
                complete(conn, unknown, attempt, reply="guess", token="guess")


def test_the_token_of_an_earlier_attempt_completes_nothing(db: Database) -> None:
    invocation_id = ready_one(db)
    earlier = start(db, invocation_id)
    end(db, earlier, HandedBack("worker_shutdown"))
    close(db)
    start(db, invocation_id)
    with db.begin() as conn, pytest.raises(Unauthorized):
        complete(conn, invocation_id, 2, reply="stale", token=earlier.complete_token)


def test_a_report_may_come_before_the_202_was_read(db: Database) -> None:
    invocation_id = ready_one(db)
    claimed = start(db, invocation_id)
    with db.begin() as conn:
        complete(conn, invocation_id, 1, reply="quick", token=claimed.complete_token)
    assert not end(db, claimed, Accepted())
    assert row_of(db, invocation_id).reply == "quick"


def test_a_reported_error_is_retried_like_any_failure(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = run_once(db, Accepted())
    with db.begin() as conn:
        complete(conn, invocation_id, 1, error="tool broke", tenant_id=DEFAULT_TENANT, actor="key:test")
    row = row_of(db, invocation_id)
    assert (row.state, row.tries[0]["error"], row.deadline_at) == ("retrying", "tool broke", None)


def test_a_fifth_error_that_is_reported_ends_it(db: Database) -> None:
    invocation_id = ready_one(db)
    for attempt in range(1, 6):
        end(db, start(db, invocation_id), Accepted())
        with db.begin() as conn:
            complete(conn, invocation_id, attempt, error="no", tenant_id=DEFAULT_TENANT, actor="key:test")
        change(db, "UPDATE invocations SET due_at = now() WHERE state = 'retrying'")
        close(db)
    assert row_of(db, invocation_id).state == "dead"


def test_another_tenants_invocation_does_not_exist(db: Database) -> None:
    other = make_tenant(db, "other")
    invocation_id = bring_to(db, make_agent_with_trigger(db), InvocationState.AWAITING)
    with db.begin() as conn:
        with pytest.raises(NotFound):
            complete(conn, invocation_id, 1, reply="forged", tenant_id=other, actor="key:other")
        with pytest.raises(NotFound):
            request_cancel(conn, other, invocation_id, "key:other")
        with pytest.raises(NotFound):
            complete(conn, new_id(), 1, reply="nothing", tenant_id=other, actor="key:other")
