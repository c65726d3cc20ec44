"""Acknowledgements: for which firings, when, and how deferred ones return."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from scheduler.domain.acks import AckResult
from scheduler.domain.ids import new_id
from scheduler.domain.run import Accepted, Failed, Replied
from scheduler.invocations.acks import acknowledge_reply
from scheduler.invocations.lifecycle import complete
from scheduler.invocations.recovery import ReconcileResult, reconcile
from scheduler.invocations.replay import replay
from scheduler.invocations.windows import ask_next_due, claim_due_windows
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.dispatching import dispatch_once
from tests.support.factories import DEFAULT_TENANT
from tests.support.invocations import (
    AgentWithTrigger,
    audited,
    close,
    end,
    fire,
    firing_states,
    make_agent_with_trigger,
    row_of,
    run_once,
    start,
    window_of,
)
from tests.support.stepped_scheduler import SteppedScheduler

LATER = "2031-01-01T00:00:00Z"


def say(firing_id: UUID, status: str, until: str | None = None) -> dict[str, Any]:
    said = {"firing_id": str(firing_id), "status": status}
    return said if until is None else said | {"until": until}


def acks_of(db: Database, firing_ids: list[UUID]) -> list[str | None]:
    found = {row.id: row.ack for row in rows(db, "SELECT id, ack FROM firings")}
    return [found[each] for each in firing_ids]


def delivered(
    db: Database, woken: AgentWithTrigger, count: int = 1, acks: list[Any] | None = None
) -> tuple[UUID, list[UUID]]:
    """Returns an invocation that succeeded with so many firings, and these."""
    firings = fire(db, woken, count)
    return run_once(db, Replied("done", acks=acks)), firings


def acknowledge(db: Database, invocation_id: UUID, *acks: Any) -> list[AckResult]:
    with db.begin() as conn:
        return acknowledge_reply(conn, invocation_id, list(acks))


def let_deferrals_pass(db: Database) -> None:
    change(db, "UPDATE firings SET deferred_until = clock_timestamp() WHERE ack = 'deferred'")


def test_a_reply_acknowledges_firings_each_in_its_own_way(db: Database) -> None:
    firings = fire(db, make_agent_with_trigger(db), 4)
    said = [say(firings[0], "handled"), say(firings[1], "ignored"), say(firings[2], "deferred", LATER)]
    invocation_id = run_once(db, Replied("done", acks=said))
    assert row_of(db, invocation_id).state == "succeeded"
    assert acks_of(db, firings) == ["handled", "ignored", "deferred", None]
    assert firing_states(db, firings) == {"delivered"}
    assert audited(db, firings[2]) == ["firing.deferred"]


def test_a_wrong_acknowledgement_costs_neither_the_reply_nor_the_others(db: Database) -> None:
    woken, stranger = make_agent_with_trigger(db), make_agent_with_trigger(db, "stranger")
    _, [foreign] = delivered(db, stranger)
    firings = fire(db, woken, 2)
    said = [say(foreign, "handled"), say(new_id(), "handled"), "nonsense", {"firing_id": "\x00"}]
    invocation_id = run_once(db, Replied("done", acks=[*said, say(firings[0], "handled")]))
    row = row_of(db, invocation_id)
    assert (row.state, row.reply) == ("succeeded", "done")
    assert acks_of(db, [*firings, foreign]) == ["handled", None, None]
    [event] = rows(db, "SELECT * FROM audit_events WHERE action = 'invocation.acks_refused'")
    assert (event.subject_id, event.detail["count"]) == (invocation_id, 4)
    assert f"There is no firing '{foreign}'" in event.detail["refused"][0]["error"]
    fire(db, woken)
    invocation_id = run_once(db, Replied("done", acks={"no": "list"}))
    assert row_of(db, invocation_id).state == "succeeded"


def test_only_what_the_agent_was_given_can_be_acknowledged(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, _ = delivered(db, woken)
    waiting = fire(db, woken)
    [result] = acknowledge(db, invocation_id, say(waiting[0], "handled"))
    assert result.error == "The firing is pending: only a firing that was given to its agent can be acknowledged."
    [running] = close(db).ready
    assert acknowledge(db, running, say(waiting[0], "handled"))[0].error is not None, "it is not running yet"
    claimed = start(db, running)
    assert acknowledge(db, running, say(waiting[0], "handled"))[0].error is None
    end(db, claimed, Failed("never", permanent=True))
    dead = acknowledge(db, running, say(waiting[0], "ignored"))[0]
    assert dead.error is not None
    assert "dead" in dead.error


def test_the_last_word_on_a_firing_counts(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, [firing] = delivered(db, woken)
    results = acknowledge(db, invocation_id, say(firing, "handled"), say(firing, "deferred", LATER))
    assert [each.error for each in results] == [None, None]
    assert acks_of(db, [firing]) == ["deferred"]
    acknowledge(db, invocation_id, say(firing, "handled"))
    [row] = rows(db, "SELECT ack, deferred_until FROM firings")
    assert (row.ack, row.deferred_until) == ("handled", None)
    let_deferrals_pass(db)
    assert close(db).ready == [], "what was deferred and then handled does not come back"


def test_a_deferred_firing_comes_back_at_its_time_the_same_one_and_recorded_once(
    db: Database, scheduler: SteppedScheduler
) -> None:
    woken = make_agent_with_trigger(db)
    first, [firing] = delivered(db, woken)
    acknowledge(db, first, say(firing, "deferred", LATER))
    scheduler.run_pass()
    assert rows(db, "SELECT id FROM invocations WHERE state <> 'succeeded'") == []
    change(db, "UPDATE firings SET deferred_until = clock_timestamp() + interval '30 seconds'")
    with db.begin() as conn:
        due_in = ask_next_due(conn).scalar()
    assert due_in is not None
    assert 25 < due_in <= 30, "the scheduler sleeps until then: nothing polls"
    let_deferrals_pass(db)
    scheduler.run_pass()
    [again] = rows(db, "SELECT * FROM invocations WHERE state = 'ready'")
    assert again.firing_ids == [firing]
    [row] = rows(db, "SELECT * FROM firings")
    assert (row.id, row.state, row.ack, row.invocation_id) == (firing, "pending", None, again.id)
    assert audited(db, firing) == ["firing.deferred", "firing.returned"]
    assert row_of(db, first).firing_ids == [firing], "the first invocation remembers it"
    end(db, start(db, again.id), Replied("done", acks=[say(firing, "handled")]))
    assert acks_of(db, [firing]) == ["handled"]
    scheduler.run_pass()
    assert rows(db, "SELECT id FROM invocations WHERE state = 'ready'") == []


def test_a_returned_firing_says_in_the_context_that_it_was_put_off(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, [firing] = delivered(db, woken)
    acknowledge(db, invocation_id, say(firing, "deferred", LATER))
    let_deferrals_pass(db)
    [again] = close(db).ready
    [request] = dispatch_once(db, again).requests
    assert [each.id for each in request.firings] == [firing]
    assert "Deferred until: " in request.context


def test_deferred_firings_join_the_open_window_and_wake_the_agent_once(db: Database) -> None:
    woken = make_agent_with_trigger(db, dedup_delay_seconds=600.0)
    late = fire(db, woken, 3)
    change(db, "UPDATE invocations SET due_at = now()")
    invocation_id = run_once(db, Replied("done"))
    acknowledge(db, invocation_id, *[say(each, "deferred", LATER) for each in late[:2]])
    fresh = fire(db, woken)
    let_deferrals_pass(db)
    [again] = close(db).ready
    row = row_of(db, again)
    assert (row.firing_ids, row.firing_count) == ([*late[:2], *fresh], 3)


def test_a_deferred_firing_waits_with_what_holds_its_agents_window(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, [firing] = delivered(db, woken)
    acknowledge(db, invocation_id, say(firing, "deferred", LATER))
    fire(db, woken)
    change(db, "UPDATE agents SET is_paused = true")
    assert close(db).held == 1
    let_deferrals_pass(db)
    assert close(db).ready == []
    window = window_of(db, woken)
    assert (window.firing_count, window.due_at, window.held_reason) == (2, None, "paused")


def test_a_time_that_is_past_or_far_away_is_moved_into_bounds(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, firings = delivered(db, woken, 2)
    past = say(firings[0], "deferred", "2001-01-01T00:00:00Z")
    results = acknowledge(db, invocation_id, past, say(firings[1], "deferred", "9000-01-01T00:00:00Z"))
    now = row_of(db, invocation_id).now
    soon, far = (each.until for each in results)
    assert soon is not None
    assert far is not None
    assert timedelta(seconds=50) < soon - now <= timedelta(minutes=1)
    assert timedelta(days=365) < far - now <= timedelta(days=366)


def test_what_was_deferred_while_it_ran_comes_back_only_after_its_end(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    [running] = close(db).ready
    claimed = start(db, running)
    [firing] = claimed.firing_ids
    acknowledge(db, running, say(firing, "deferred", LATER))
    let_deferrals_pass(db)
    assert close(db).ready == []
    end(db, claimed, Replied("done"))
    assert len(close(db).ready) == 1


def test_a_replay_overtakes_a_deferral(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, [firing] = delivered(db, woken)
    acknowledge(db, invocation_id, say(firing, "deferred", LATER))
    with db.begin() as conn:
        replay(conn, DEFAULT_TENANT, invocation_id, "key:test")
    assert acks_of(db, [firing]) == [None]
    assert len(close(db).ready) == 1
    let_deferrals_pass(db)
    assert close(db).held == 0


def test_a_pass_that_dies_leaves_the_deferred_firing_where_it_was(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, [firing] = delivered(db, woken)
    acknowledge(db, invocation_id, say(firing, "deferred", LATER))
    let_deferrals_pass(db)
    with db.engine.connect() as conn:
        assert len(claim_due_windows(conn, 10)) == 1
        conn.rollback()
    assert acks_of(db, [firing]) == ["deferred"]
    assert reconcile(db, newer_than=None) == ReconcileResult()
    assert len(close(db).ready) == 1


def test_one_scheduler_at_a_time_brings_firings_back(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id, [firing] = delivered(db, woken)
    acknowledge(db, invocation_id, say(firing, "deferred", LATER))
    let_deferrals_pass(db)
    with db.begin() as other:
        assert len(claim_due_windows(other, 10)) == 1
        assert close(db).ready == []
    assert len(close(db).ready) == 1
    assert len(rows(db, "SELECT id FROM invocations")) == 2


def test_the_deferred_firing_of_a_deleted_trigger_comes_back_and_that_of_a_deleted_agent_is_skipped(
    db: Database,
) -> None:
    kept, gone = make_agent_with_trigger(db, "kept"), make_agent_with_trigger(db, "gone")
    for woken in (kept, gone):
        invocation_id, [firing] = delivered(db, woken)
        acknowledge(db, invocation_id, say(firing, "deferred", LATER))
    change(db, "UPDATE triggers SET deleted_at = now()")
    change(db, "UPDATE agents SET deleted_at = now() WHERE id = :id", id=gone.agent_id)
    let_deferrals_pass(db)
    closed = close(db)
    assert [row_of(db, each).agent_id for each in closed.ready] == [kept.agent_id]
    assert closed.skipped == 1


def test_a_report_acknowledges_and_is_told_what_became_of_each(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    [firing] = fire(db, woken)
    invocation_id = run_once(db, Accepted())
    with db.begin() as conn:
        acks = [say(firing, "handled"), say(new_id(), "ignored")]
        results = complete(conn, invocation_id, 1, reply="done", acks=acks, tenant_id=DEFAULT_TENANT)
    assert [each.error is None for each in results] == [True, False]
    assert acks_of(db, [firing]) == ["handled"]
