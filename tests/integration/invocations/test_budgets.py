"""Spent budgets: which windows are held, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.llm import ResponseUsage
from scheduler.domain.run import Accepted, Failed, Replied
from scheduler.invocations.lifecycle import complete
from scheduler.invocations.windows import ask_next_due
from scheduler.storage.engine import Database
from tests.support.budgets import carried, let_pass, notices, run_times, spend_tokens
from tests.support.database import change, rows
from tests.support.factories import make_trigger
from tests.support.invocations import (
    AgentWithTrigger,
    close,
    end,
    fire,
    make_agent_with_trigger,
    row_of,
    run_once,
    start,
    window_of,
)
from tests.support.stepped_scheduler import SteppedScheduler

# Invocations per hour


def test_an_agent_that_has_spent_its_hour_is_held_until_its_first_invocation_is_an_hour_old(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=2)
    run_times(db, woken, 1)
    let_pass(db, 20)
    run_times(db, woken, 1)
    first = fire(db, woken)
    closed = close(db)
    assert (closed.ready, closed.held) == ([], 1)
    held = window_of(db, woken)
    assert (held.due_at, held.held_reason) == (None, "budget")
    now = row_of(db, held.id).now
    assert timedelta(minutes=39) < held.held_until - now <= timedelta(minutes=40)
    assert "invocations_per_hour are spent (2 of 2)" in held.held_note
    assert close(db).held == 0, "it is not decided again and again"

    later = fire(db, woken, 3)
    assert window_of(db, woken).due_at is None, "what fires meanwhile is recorded and waits too"
    let_pass(db, 41)
    [invocation_id] = close(db).ready
    row = row_of(db, invocation_id)
    assert row.firing_ids == first + later, "all of it is delivered at once, in one invocation"
    assert (row.held_reason, row.held_until, row.held_note) == (None, None, None)


def test_the_scheduler_knows_when_a_hold_ends_and_delivers_by_itself(
    db: Database, scheduler: SteppedScheduler
) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    run_times(db, woken, 1)
    let_pass(db, 59)
    firings = fire(db, woken)
    scheduler.run_pass()
    held = window_of(db, woken)
    assert held.held_reason == "budget"
    with db.begin() as conn:
        due_in = ask_next_due(conn).scalar()
    assert due_in is not None
    assert 30 < due_in <= 60
    let_pass(db, 1)
    scheduler.run_pass()
    assert row_of(db, held.id).state == "ready"
    assert carried(db, held.id) == firings


def test_an_urgent_firing_does_not_break_the_budget(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    urgent = AgentWithTrigger(woken.agent_id, make_trigger(db, woken.agent_id, "webhook", urgent=True).id)
    run_times(db, woken, 1)
    fire(db, urgent)
    assert close(db).held == 1
    fire(db, urgent)
    fire(db, urgent, immediate=True)
    assert window_of(db, woken).due_at is None
    assert close(db).ready == []


def test_a_retry_is_no_new_invocation_and_one_that_was_skipped_is_none(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    fire(db, woken)
    invocation_id = run_once(db, Failed("not now"))
    change(db, "UPDATE invocations SET due_at = now() WHERE state = 'retrying'")
    assert close(db).ready == [invocation_id]
    end(db, start(db, invocation_id), Replied("done"))
    change(db, "UPDATE invocations SET state = 'skipped'")
    fire(db, woken)
    assert len(close(db).ready) == 1


def test_a_split_window_spends_one_for_each_batch(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=2, max_batch=2)
    firings = fire(db, woken, 6)
    delivered = [carried(db, run_once(db, Replied("done"))) for _ in range(2)]
    assert [*delivered[0], *delivered[1]] == firings[:4]
    assert close(db).held == 1
    assert window_of(db, woken).firing_count == 2


def test_what_budgets_hold_is_skipped_when_its_agent_is_gone(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_invocations_per_hour=1)
    run_times(db, woken, 1)
    fire(db, woken)
    close(db)
    change(db, "UPDATE agents SET expires_at = now()")
    let_pass(db, 61)
    assert close(db).skipped == 1


# Tokens per day


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_an_agent_that_has_spent_its_tokens_is_held_until_midnight_in_its_zone(db: Database, zone: str) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=1000, timezone=zone)
    spend_tokens(db, woken, 1200, zone)
    fire(db, woken)
    assert close(db).held == 1
    held = window_of(db, woken)
    local = held.held_until.astimezone(ZoneInfo(zone))
    now = row_of(db, held.id).now
    assert (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    assert timedelta(0) < held.held_until - now <= timedelta(days=1)
    assert "tokens_per_day are spent (1,200 of 1,000). Firings" in held.held_note
    assert local.isoformat() in held.held_note


def test_the_tokens_of_another_day_are_not_counted(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=1000)
    spend_tokens(db, woken, 1000)
    change(db, "UPDATE agent_usage SET day = day - 1")
    fire(db, woken)
    assert len(close(db).ready) == 1


def test_a_hold_that_ends_while_tokens_are_still_spent_goes_on(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=1000)
    spend_tokens(db, woken, 1000)
    fire(db, woken)
    close(db)
    change(db, "UPDATE invocations SET held_until = now() WHERE state = 'collecting'")
    assert close(db).held == 1
    assert window_of(db, woken).held_until > datetime.now(UTC)  # noqa: TID251
    assert notices(db) == ["agent.budget_spent"], "that it is spent is said once a day"


# Usage that agents report


def test_what_an_agent_reports_of_its_runs_is_counted_as_a_models_is(db: Database) -> None:
    woken = make_agent_with_trigger(db, max_tokens_per_day=100)
    fire(db, woken)
    used = ResponseUsage(40, 20, Decimal("0.5"))
    invocation_id = run_once(db, Failed("broke off", spent=used))
    change(db, "UPDATE invocations SET due_at = now() WHERE state = 'retrying'")
    assert close(db).ready == [invocation_id]
    claimed = start(db, invocation_id)
    end(db, claimed, Accepted())
    usage = {"input_tokens": 30, "output_tokens": 15, "cost": -1}
    with db.begin() as conn:
        complete(conn, invocation_id, 2, reply="done", token=claimed.complete_token, usage=usage)
    row = row_of(db, invocation_id)
    assert (row.tokens_in, row.tokens_out, row.cost) == (70, 35, Decimal("0.5"))
    assert [each.get("note") for each in row.tries] == [None, "Of usage was not counted: cost -1."]
    [day] = rows(db, "SELECT tokens_in, tokens_out, cost, invocations FROM agent_usage")
    assert tuple(day) == (70, 35, Decimal("0.5"), 1)
    fire(db, woken)
    assert close(db).held == 1
    assert "tokens_per_day are spent (105 of 100)" in window_of(db, woken).held_note
