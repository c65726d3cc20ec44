"""Closing windows: when, with which firings, and what holds one back."""

from __future__ import annotations

import pytest
from sqlalchemy import text, update

from scheduler.domain.model import HeldReason
from scheduler.domain.run import Failed, Replied
from scheduler.invocations.windows import (
    CLAIM_DUE,
    NEXT_DUE,
    ask_next_due,
    release_window,
)
from scheduler.storage.engine import Database
from scheduler.storage.tables.core import Agent
from tests.support.database import change
from tests.support.invocations import (
    audited,
    close,
    close_due_windows,
    end,
    fire,
    firing_states,
    make_agent_with_trigger,
    queued_jobs,
    row_of,
    run_once,
    start,
    window_of,
)


def test_a_due_window_becomes_ready_with_its_firings_oldest_first_and_a_job(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken) + fire(db, woken, 2)
    closed = close(db)
    [invocation_id] = closed.ready
    row = row_of(db, invocation_id)
    assert (row.state, row.firing_ids, row.firing_count) == ("ready", firings, 3)
    assert row.due_at is None
    assert row.ready_at is not None
    assert queued_jobs(db) == [("todo", {"runs": [[str(invocation_id), 1]]})]
    assert close(db).ready == []


def test_a_window_that_is_not_due_stays_open(db: Database) -> None:
    woken = make_agent_with_trigger(db, dedup_delay_seconds=30.0)
    fire(db, woken)
    assert close(db).ready == []
    with db.begin() as conn:
        due_in = ask_next_due(conn).scalar()
    assert due_in is not None
    assert 25 < due_in <= 30


def test_without_windows_nothing_is_due(db: Database) -> None:
    with db.begin() as conn:
        assert ask_next_due(conn).scalar() is None


def test_a_close_that_is_rolled_back_leaves_neither_a_ready_invocation_nor_a_job(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    with db.engine.connect() as conn:
        assert len(close_due_windows(conn, 10).ready) == 1
        conn.rollback()
    assert queued_jobs(db) == []
    assert window_of(db, woken).due_at is not None


def test_a_pass_takes_the_longest_due_first_and_no_more_than_its_limit(db: Database) -> None:
    woken = [make_agent_with_trigger(db, f"agent {number}") for number in range(3)]
    windows = []
    for each in reversed(woken):
        fire(db, each)
        windows.append(window_of(db, each).id)
    assert set(close(db, limit=2).ready) == set(windows[:2])
    assert close(db, limit=2).ready == windows[2:]


def test_a_window_behind_an_active_invocation_is_held_until_that_one_ends(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    [first] = close(db).ready
    late = fire(db, woken)
    closed = close(db)
    assert (closed.ready, closed.held) == ([], 1)
    held = window_of(db, woken)
    assert (held.due_at, held.held_reason) == (None, "busy")

    later = fire(db, woken)
    assert window_of(db, woken).due_at is None, "a firing that joins a held window leaves it held"
    claimed = start(db, first)
    end(db, claimed, Failed("not now"))
    assert window_of(db, woken).due_at is None, "a retry is not an end"

    change(db, "UPDATE invocations SET due_at = now() WHERE id = :id", id=first)
    assert close(db).ready == [first]
    end(db, start(db, first), Replied("done"))
    freed = window_of(db, woken)
    assert freed.due_at is not None
    assert freed.held_reason is None
    [second] = close(db).ready
    assert row_of(db, second).firing_ids == late + later


def test_a_window_whose_active_invocation_is_locked_is_left_due(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    [active] = close(db).ready
    fire(db, woken)
    with db.begin() as other:
        other.execute(text("SELECT 1 FROM invocations WHERE id = :id FOR UPDATE"), {"id": active})
        closed = close(db)
        assert (closed.ready, closed.held, closed.left) == ([], 0, 1)
        assert window_of(db, woken).due_at is not None
    assert close(db).held == 1


def test_a_window_that_another_scheduler_holds_is_passed_over(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    with db.begin() as other:
        assert len(close_due_windows(other, 10).ready) == 1
        assert close(db).ready == []


def test_the_oldest_of_an_over_full_window_leave_and_the_rest_wait_for_the_next_run(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_batch=3)
    firings = fire(db, woken, 8)
    window = window_of(db, woken).id
    [first] = close(db).ready
    row = row_of(db, first)
    assert (row.state, row.firing_ids, row.firing_count) == ("ready", firings[:3], 3)
    assert row.ready_at is not None
    rest = window_of(db, woken)
    assert (rest.id, rest.firing_count, rest.held_reason) == (window, 5, None)
    assert row.opened_at < rest.opened_at <= rest.due_at <= row.now
    assert close(db).held == 1

    end(db, start(db, first), Replied("done"))
    assert firing_states(db, firings[:3]) == {"delivered"}
    assert firing_states(db, firings[3:]) == {"pending"}
    second = run_once(db, Replied("done"))
    third = run_once(db, Replied("done"))
    assert row_of(db, second).firing_ids == firings[3:6]
    assert row_of(db, third).firing_ids == firings[6:]
    assert third == window
    assert close(db).ready == []


def test_a_full_window_closes_before_its_time(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_batch=3, dedup_delay_seconds=600.0)
    fire(db, woken, 2)
    assert close(db).ready == []
    fire(db, woken)
    assert len(close(db).ready) == 1


def test_a_paused_agents_window_is_held_until_it_is_resumed(db: Database) -> None:
    woken = make_agent_with_trigger(db, is_paused=True)
    firings = fire(db, woken)
    assert close(db).held == 1
    assert window_of(db, woken).held_reason == "paused"
    with db.begin() as conn:
        conn.execute(update(Agent).values(is_paused=False))
        assert release_window(conn, woken.agent_id, [HeldReason.BUSY]) is False
        assert release_window(conn, woken.agent_id, [HeldReason.PAUSED]) is True
        assert release_window(conn, woken.agent_id, [HeldReason.PAUSED]) is False
    [invocation_id] = close(db).ready
    assert row_of(db, invocation_id).firing_ids == firings


def test_a_retry_of_a_paused_agent_waits_for_the_resume_too(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    invocation_id = run_once(db, Failed("not now", retry_after=1))
    change(db, "UPDATE agents SET is_paused = true")
    change(db, "UPDATE invocations SET due_at = now()")
    assert close(db).held == 1
    assert row_of(db, invocation_id).held_reason == "paused"
    with db.begin() as conn:
        conn.execute(update(Agent).values(is_paused=False))
        release_window(conn, woken.agent_id, [HeldReason.PAUSED])
    assert close(db).ready == [invocation_id]
    assert row_of(db, invocation_id).held_reason is None


def test_a_window_is_not_held_while_its_agent_is_just_being_resumed(db: Database) -> None:
    woken = make_agent_with_trigger(db, is_paused=True)
    fire(db, woken)
    with db.begin() as resuming:
        resuming.execute(update(Agent).values(is_paused=False))
        assert close(db).left == 1
        assert release_window(resuming, woken.agent_id, [HeldReason.PAUSED]) is False
    assert len(close(db).ready) == 1


@pytest.mark.parametrize(
    ("change_agent", "reason"),
    [
        ("deleted_at = now()", "agent_deleted"),
        ("expires_at = now()", "agent_expired"),
        ("deleted_at = now(), is_paused = true", "agent_deleted"),
    ],
)
def test_the_window_of_a_deleted_agent_is_skipped_and_its_firings_kept(
    db: Database, change_agent: str, reason: str
) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken, 2)
    window = window_of(db, woken)
    change(db, f"UPDATE agents SET {change_agent}")  # noqa: S608
    closed = close(db)
    assert (closed.ready, closed.skipped) == ([], 1)
    row = row_of(db, window.id)
    assert (row.state, row.reason, row.firing_ids) == ("skipped", reason, firings)
    assert row.finished_at is not None
    assert firing_states(db, firings) == {"skipped"}
    assert audited(db, window.id) == ["invocation.skipped"]
    assert queued_jobs(db) == []


def test_a_window_without_firings_wakes_nobody(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    change(db, "UPDATE invocations SET firing_count = 0")
    window = window_of(db, woken)
    assert close(db).skipped == 1
    assert row_of(db, window.id).reason == "empty"
    assert queued_jobs(db) == []


def test_a_retry_whose_wait_is_over_becomes_ready_with_a_job_of_its_next_attempt(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    invocation_id = run_once(db, Failed("not now"))
    assert close(db).ready == []
    change(db, "DELETE FROM procrastinate_jobs")
    change(db, "UPDATE invocations SET due_at = now()")
    assert close(db).ready == [invocation_id]
    assert queued_jobs(db) == [("todo", {"runs": [[str(invocation_id), 2]]})]


def test_the_search_for_due_windows_uses_its_index(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        for query, values in ((CLAIM_DUE, {"limit": 10}), (NEXT_DUE, {})):
            plan = "\n".join(conn.execute(text(f"EXPLAIN {query}"), values).scalars())
            assert "ix_invocations_due" in plan
            assert "Sort" not in plan
