"""Budgets that are nearly spent, those of tenants, and what ends a hold."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text, update

from scheduler.domain.model import HeldReason
from scheduler.domain.run import Replied
from scheduler.invocations.recovery import ReconcileResult, reconcile
from scheduler.invocations.windows import release_window
from scheduler.storage.engine import Database
from scheduler.storage.tables.core import Agent
from tests.support.budgets import carried, let_pass, notices, run_times, spend_tokens
from tests.support.database import change, rows
from tests.support.factories import make_tenant, make_trigger
from tests.support.invocations import (
    AgentWithTrigger,
    close,
    close_due_windows,
    end,
    fire,
    make_agent_with_trigger,
    row_of,
    run_once,
    start,
    window_of,
)

# Four fifths


def test_at_four_fifths_the_window_is_widened_to_five_minutes_and_that_is_audited_once(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=1000, dedup_delay_seconds=30.0)
    spend_tokens(db, woken, 798)
    fire(db, woken)
    let_pass(db, 0.6)
    assert len(close(db).ready) == 1, "not yet"
    assert notices(db) == []
    end(db, start(db, rows(db, "SELECT id FROM invocations")[0].id), Replied("done"))

    spend_tokens(db, woken, 800)
    firings = fire(db, woken)
    let_pass(db, 0.6)
    closed = close(db)
    assert (closed.ready, closed.held, closed.widened) == ([], 0, 1)
    window = window_of(db, woken)
    assert window.due_at - window.opened_at == timedelta(minutes=5)
    assert window.held_reason is None
    firings += fire(db, woken)
    let_pass(db, 1)
    assert close(db).widened == 1, "what joins does not make it narrower"
    let_pass(db, 3.5)
    [invocation_id] = close(db).ready
    assert carried(db, invocation_id) == firings
    [notice] = rows(db, "SELECT * FROM audit_events WHERE action = 'agent.budget_nearly_spent'")
    assert notice.subject_id == woken.agent_id
    assert notice.detail == {"budget": "tokens_per_day", "used": 800, "limit": 1000}


def test_the_invocation_that_reaches_four_fifths_of_the_hour_widens_the_windows_after_it(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=5)
    run_times(db, woken, 3)
    assert notices(db) == []
    run_times(db, woken, 1)
    assert notices(db) == ["agent.budget_nearly_spent"]
    fire(db, woken)
    assert close(db).widened == 1
    let_pass(db, 5)
    assert len(close(db).ready) == 1


def test_urgent_firings_and_full_windows_do_not_wait_for_a_widened_window(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=1000, max_batch=3)
    urgent = AgentWithTrigger(woken.agent_id, make_trigger(db, woken.agent_id, "webhook", urgent=True).id)
    spend_tokens(db, woken, 900)
    fire(db, woken)
    assert close(db).widened == 1
    fire(db, urgent)
    end(db, start(db, *close(db).ready), Replied("done"))
    fire(db, woken, 2)
    assert close(db).widened == 1
    fire(db, woken)
    assert len(close(db).ready) == 1


def test_a_window_that_is_wider_anyway_is_left_as_it_is(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=1000, dedup_delay_seconds=900.0)
    spend_tokens(db, woken, 900)
    fire(db, woken)
    let_pass(db, 15)
    assert len(close(db).ready) == 1


def test_a_notice_is_repeated_in_the_next_period(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    run_times(db, woken, 1)
    for expected in (1, 2):
        fire(db, woken)
        assert close(db).held == 1
        assert notices(db) == ["agent.budget_spent"] * expected
        let_pass(db, 61)
        run_once(db, Replied("done"))


# A tenant's


def test_a_tenants_invocations_are_shared_by_its_agents_the_longest_waiting_first(db: Database) -> None:
    change(db, "UPDATE tenants SET max_invocations_per_hour = 2")
    agents = [make_agent_with_trigger(db, f"agent {number}") for number in range(4)]
    for each in agents:
        fire(db, each)
    oldest_last = list(reversed(agents))
    for minutes, each in enumerate(oldest_last):
        change(
            db,
            "UPDATE invocations SET opened_at = opened_at - :by WHERE agent_id = :id",
            by=timedelta(minutes=minutes),
            id=each.agent_id,
        )
    closed = close(db)
    assert (len(closed.ready), closed.held) == (2, 2)
    assert {row_of(db, each).agent_id for each in closed.ready} == {each.agent_id for each in agents[:2]}
    assert notices(db) == ["tenant.budget_spent"]
    assert "tenant's" in window_of(db, agents[2]).held_note
    let_pass(db, 61)
    assert len(close(db).ready) == 2


def test_a_tenants_tokens_are_those_of_all_its_agents_and_of_nobody_else(db: Database) -> None:
    change(db, "UPDATE tenants SET max_tokens_per_day = 1000")
    other = make_tenant(db, "other")
    ada, bob = make_agent_with_trigger(db, "ada"), make_agent_with_trigger(db, "bob")
    spend_tokens(db, ada, 500)
    spend_tokens(db, AgentWithTrigger(other, other), 5000, tenant_id=other)
    fire(db, bob)
    assert len(close(db).ready) == 1
    end(db, start(db, rows(db, "SELECT id FROM invocations")[0].id), Replied("done"))
    spend_tokens(db, bob, 500)
    fire(db, bob)
    assert close(db).held == 1


def test_two_schedulers_do_not_both_give_away_a_tenants_last_invocation(db: Database) -> None:
    change(db, "UPDATE tenants SET max_invocations_per_hour = 1")
    ada, bob = make_agent_with_trigger(db, "ada"), make_agent_with_trigger(db, "bob")
    fire(db, ada)
    with db.begin() as other:
        assert len(close_due_windows(other, 10).ready) == 1
        fire(db, bob)
        assert close(db).left == 1, "another one is deciding for this tenant: it looks again in a moment"
    assert close(db).held == 1


# What ends a hold


def test_a_limit_that_is_raised_or_lifted_frees_the_window_at_once(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    run_times(db, woken, 1)
    firings = fire(db, woken)
    close(db)
    with db.begin() as conn:
        conn.execute(update(Agent).values(max_invocations_per_hour=2))
        assert release_window(conn, woken.agent_id, [HeldReason.BUDGET]) is True
    [invocation_id] = close(db).ready
    assert carried(db, invocation_id) == firings


def test_a_window_is_not_held_while_its_agents_limit_is_just_being_raised(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    run_times(db, woken, 1)
    fire(db, woken)
    with db.begin() as raising:
        raising.execute(update(Agent).values(max_invocations_per_hour=None))
        assert close(db).left == 1
        assert release_window(raising, woken.agent_id, [HeldReason.BUDGET]) is False
    assert len(close(db).ready) == 1


def test_what_holds_back_a_paused_agent_too_has_to_end_as_well(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    run_times(db, woken, 1)
    fire(db, woken)
    close(db)
    change(db, "UPDATE agents SET is_paused = true")
    let_pass(db, 61)
    assert close(db).held == 1
    held = window_of(db, woken)
    assert (held.held_reason, held.held_until, held.held_note) == ("paused", None, None)


def test_the_reconciler_frees_a_window_whose_budget_is_not_spent_any_more_and_no_other(db: Database) -> None:
    spent = make_agent_with_trigger(db, "spent", max_tokens_per_day=100)
    refilled = make_agent_with_trigger(db, "refilled", max_tokens_per_day=100)
    unlimited = make_agent_with_trigger(db, "unlimited", max_tokens_per_day=100)
    for woken in (spent, refilled, unlimited):
        spend_tokens(db, woken, 100)
        fire(db, woken)
    assert close(db).held == 3
    assert reconcile(db) == ReconcileResult()
    spend_tokens(db, refilled, 10)
    change(db, "UPDATE agents SET max_tokens_per_day = NULL WHERE id = :id", id=unlimited.agent_id)
    assert reconcile(db) == ReconcileResult(freed=2)
    assert {row_of(db, each).agent_id for each in close(db).ready} == {refilled.agent_id, unlimited.agent_id}
    assert window_of(db, spent).held_reason == "budget"


def test_a_hold_without_an_end_is_decided_again(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    change(db, "UPDATE invocations SET due_at = NULL, held_reason = 'budget'")
    assert reconcile(db) == ReconcileResult(freed=1)


def test_agents_without_budgets_cost_nothing_more(db: Database) -> None:
    """Beside a limited agent in the same pass, one without a budget is not even locked."""
    limited, free = (
        make_agent_with_trigger(db, "limited", max_invocations_per_hour=1),
        make_agent_with_trigger(db, "free"),
    )
    fire(db, limited)
    fire(db, free)
    with db.begin() as other:
        other.execute(text("SELECT 1 FROM agents FOR UPDATE"))
        closed = close(db)
    assert [row_of(db, each).agent_id for each in closed.ready] == [free.agent_id]
    assert closed.left == 1
