"""From ready to the end: every operation in every state, what an attempt leaves behind, and what it frees."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from datetime import datetime
from uuid import UUID

import psycopg
import pytest

from scheduler.domain.errors import Conflict
from scheduler.domain.ids import new_id
from scheduler.domain.model import FINAL_STATES, MOVES, InvocationState
from scheduler.domain.run import Failed, HandedBack, Outcome, Replied, Skipped
from scheduler.domain.text import MAX_REPLY_BYTES
from scheduler.invocations.lifecycle import complete, request_cancel
from scheduler.invocations.transitions import FIRING_STATES, move
from scheduler.storage.engine import Database
from tests.support.database import change
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import (
    WORKER,
    audited,
    bring_to,
    claim,
    close,
    end,
    finish,
    fire,
    firing_states,
    make_agent_with_trigger,
    ready_one,
    row_of,
    run_once,
    start,
)

S = InvocationState
EVERY_STATE = list(InvocationState)

# The state machine in the database


@pytest.fixture
def in_every_state(db: Database) -> dict[InvocationState, UUID]:
    """Creates an invocation in each state, each of a separate agent."""
    return {state: bring_to(db, make_agent_with_trigger(db, state), state) for state in reversed(EVERY_STATE)}


def states_of(db: Database, invocations: dict[InvocationState, UUID]) -> dict[InvocationState, str]:
    return {state: row_of(db, each).state for state, each in invocations.items()}


def test_a_move_takes_only_rows_that_are_where_it_starts_and_no_other_move_exists(
    db: Database, in_every_state: dict[InvocationState, UUID]
) -> None:
    """Every pair of states, with rows in every state."""
    for source, target in itertools.product(EVERY_STATE, EVERY_STATE):
        with db.engine.connect() as conn:
            if target in MOVES[source]:
                moved = move(conn, in_every_state.values(), source, target)
                assert [each.id for each in moved] == [in_every_state[source]]
            else:
                with pytest.raises(Conflict):
                    move(conn, in_every_state.values(), source, target)
            conn.rollback()
    assert states_of(db, in_every_state) == {each: each for each in EVERY_STATE}


def test_only_what_is_ready_can_be_claimed(db: Database, in_every_state: dict[InvocationState, UUID]) -> None:
    for state, invocation_id in in_every_state.items():
        with db.begin() as conn:
            claimed = claim(conn, invocation_id, WORKER)
        assert (claimed is not None) == (state is S.READY)


def test_only_what_runs_can_be_finished(db: Database, in_every_state: dict[InvocationState, UUID]) -> None:
    for state, invocation_id in in_every_state.items():
        attempt = row_of(db, invocation_id).attempt
        with db.begin() as conn:
            assert finish(conn, invocation_id, attempt, Replied("done")) == (state is S.RUNNING)
    assert states_of(db, in_every_state) == {each: each for each in EVERY_STATE} | {S.RUNNING: S.SUCCEEDED}


def test_only_what_runs_or_awaits_can_be_completed(
    db: Database, in_every_state: dict[InvocationState, UUID]
) -> None:
    for state, invocation_id in in_every_state.items():
        attempt = row_of(db, invocation_id).attempt
        refused = nullcontext() if state in (S.RUNNING, S.AWAITING) else pytest.raises(Conflict)
        with db.begin() as conn, refused:
            complete(conn, invocation_id, attempt, reply="done", tenant_id=DEFAULT_TENANT, actor="key:test")
    completed = {S.RUNNING: S.SUCCEEDED, S.AWAITING: S.SUCCEEDED}
    assert states_of(db, in_every_state) == {each: each for each in EVERY_STATE} | completed


@pytest.mark.parametrize("state", [S.COLLECTING, S.READY, S.RETRYING])
def test_cancelling_ends_what_waits(db: Database, state: InvocationState) -> None:
    invocation_id = bring_to(db, make_agent_with_trigger(db), state)
    with db.begin() as conn:
        assert request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test") is S.CANCELLED
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == ("cancelled", "cancelled")
    assert firing_states(db, row.firing_ids) == {"cancelled"}
    assert audited(db, invocation_id)[-1] == "invocation.cancelled"


@pytest.mark.parametrize("state", [S.RUNNING, S.AWAITING])
def test_cancelling_asks_what_runs(db: Database, state: InvocationState) -> None:
    invocation_id = bring_to(db, make_agent_with_trigger(db), state)
    with db.begin() as conn:
        assert request_cancel(conn, DEFAULT_TENANT, invocation_id, "key:test") is state
    row = row_of(db, invocation_id)
    assert (row.state, row.cancel_requested) == (state, True)
    assert audited(db, invocation_id)[-1] == "invocation.cancel_requested"


def test_what_has_ended_cannot_be_cancelled(db: Database, in_every_state: dict[InvocationState, UUID]) -> None:
    for state in FINAL_STATES:
        with db.begin() as conn, pytest.raises(Conflict, match="nothing left to cancel"):
            request_cancel(conn, DEFAULT_TENANT, in_every_state[state], "key:test")


# Claiming


def test_a_claim_counts_the_attempt_and_names_the_worker(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken, 2)
    [invocation_id] = close(db).ready
    claimed = start(db, invocation_id)
    assert (claimed.attempt, claimed.firing_ids, claimed.agent_id) == (1, firings, woken.agent_id)
    row = row_of(db, invocation_id)
    assert (row.state, row.attempt, row.worker) == ("running", 1, WORKER)
    assert row.started_at is not None
    assert claimed.complete_token.encode() not in row.complete_token_hash, "only a hash of the token is stored"


def test_the_job_of_an_earlier_attempt_claims_nothing(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    invocation_id = run_once(db, Failed("not now"))
    change(db, "UPDATE invocations SET due_at = now()")
    close(db)
    with db.begin() as conn:
        assert claim(conn, invocation_id, WORKER, attempt=1) is None
        assert claim(conn, invocation_id, WORKER, attempt=2) is not None


# Ending


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Replied("done"), S.SUCCEEDED, None),
        (Failed("HTTP 400", permanent=True), S.DEAD, "failed"),
        (Skipped("agent_expired"), S.SKIPPED, "agent_expired"),
    ],
)
def test_an_end_marks_the_firings_is_audited_and_frees_the_agent(
    db: Database, outcome: Outcome, state: InvocationState, reason: str | None
) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken, 2)
    [invocation_id] = close(db).ready
    claimed = start(db, invocation_id)
    fire(db, woken)
    assert close(db).held == 1
    assert end(db, claimed, outcome)
    row = row_of(db, invocation_id)
    assert (row.state, row.reason) == (state, reason)
    assert row.finished_at is not None
    assert firing_states(db, firings) == {FIRING_STATES[state]}
    assert audited(db, invocation_id) == [f"invocation.{state}"]
    assert len(close(db).ready) == 1, "the window that was held may close now"


def test_a_reply_is_stored_as_text_that_the_database_can_hold(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    row = row_of(db, run_once(db, Replied("a\x00b \ud800 c")))
    assert (row.reply, row.reply_truncated) == ("a\ufffdb ? c", False)


def test_a_long_reply_is_cut_between_characters_and_is_a_success(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    row = row_of(db, run_once(db, Replied("é" * MAX_REPLY_BYTES)))
    assert (row.state, row.reply_truncated) == ("succeeded", True)
    assert row.reply == "é" * (MAX_REPLY_BYTES // 2)


def test_each_try_is_kept_with_its_times_and_its_error(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = run_once(db, Failed("HTTP 503"))
    change(db, "UPDATE invocations SET due_at = now()")
    run_once(db, Replied("done"))
    first, second = row_of(db, invocation_id).tries
    assert (first["attempt"], first["outcome"], first["error"]) == (1, "failed", "HTTP 503")
    assert (second["attempt"], second["outcome"], second["error"]) == (2, "succeeded", None)
    assert datetime.fromisoformat(first["started_at"]) <= datetime.fromisoformat(first["ended_at"])


def test_failures_are_repeated_with_growing_waits_until_the_fifth_frees_the_agent(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken)
    [invocation_id] = close(db).ready
    closed = row_of(db, invocation_id).ready_at
    for wait in (5, 15, 45, 135):
        end(db, start(db, invocation_id), Failed("HTTP 500"))
        row = row_of(db, invocation_id)
        assert row.state == "retrying"
        assert wait * 0.8 - 1 <= (row.due_at - row.now).total_seconds() <= wait * 1.2
        change(db, "UPDATE invocations SET due_at = now() WHERE state = 'retrying'")
        assert close(db).ready == [invocation_id]
    fire(db, woken)
    assert close(db).held == 1
    end(db, start(db, invocation_id), Failed("HTTP 500"))
    row = row_of(db, invocation_id)
    assert (row.state, row.attempt, len(row.tries), row.reason) == ("dead", 5, 5, "failed")
    assert row.ready_at == closed, "its window closed once"
    assert firing_states(db, firings) == {"dead"}
    assert audited(db, invocation_id) == ["invocation.retrying"] * 4 + ["invocation.dead"]
    assert len(close(db).ready) == 1


def test_the_wait_that_an_agent_asks_for_is_kept(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    row = row_of(db, run_once(db, Failed("HTTP 429", retry_after=120.0)))
    assert 60 <= (row.due_at - row.now).total_seconds() <= 120


def test_an_attempt_that_was_handed_back_starts_again_at_once_and_does_not_count(db: Database) -> None:
    invocation_id = ready_one(db)
    for _ in range(7):
        end(db, start(db, invocation_id), HandedBack("worker_shutdown"))
        row = row_of(db, invocation_id)
        assert (row.state, row.reason) == ("retrying", "worker_shutdown")
        assert close(db).ready == [invocation_id]
    assert row_of(db, invocation_id).attempt == 7
    end(db, start(db, invocation_id), Failed("HTTP 500"))
    row = row_of(db, invocation_id)
    assert row.state == "retrying"
    assert (row.due_at - row.now).total_seconds() <= 6, "it was the first failure"


def test_a_stale_end_changes_nothing(db: Database) -> None:
    invocation_id = ready_one(db)
    stale = start(db, invocation_id)
    end(db, stale, HandedBack("worker_shutdown"))
    close(db)
    current = start(db, invocation_id)
    assert not end(db, stale, Replied("too late"))
    assert row_of(db, invocation_id).state == "running"
    assert end(db, current, Replied("in time"))
    assert not end(db, current, Failed("again"))
    assert row_of(db, invocation_id).reply == "in time"


def test_an_invocation_that_does_not_exist_cannot_be_finished(db: Database) -> None:
    with db.begin() as conn:
        assert not finish(conn, new_id(), 1, Replied("done"))


def test_a_wake_up_is_sent_only_when_something_is_due_soon(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id = bring_to(db, woken, S.READY)
    url = db.engine.url.render_as_string(hide_password=False).replace("postgresql+psycopg:", "postgresql:", 1)
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN reveille_wake")
        end(db, start(db, invocation_id), Failed("HTTP 500", retry_after=600))
        listener.execute("SELECT 1")
        assert list(listener.notifies(timeout=0)) == []
        change(db, "UPDATE invocations SET due_at = now()")
        close(db)
        end(db, start(db, invocation_id), HandedBack("worker_shutdown"))
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1
