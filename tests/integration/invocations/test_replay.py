"""A replay: the firings of an ended invocation are sent again, in the agent's window."""

from __future__ import annotations

import pytest

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_id
from scheduler.domain.model import FINAL_STATES, InvocationState
from scheduler.domain.run import Accepted, Failed, Replied
from scheduler.invocations.replay import replay
from scheduler.storage.engine import Database
from tests.support.database import change
from tests.support.factories import DEFAULT_TENANT, make_tenant
from tests.support.invocations import (
    audited,
    bring_to,
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


@pytest.mark.parametrize("state", list(InvocationState))
def test_what_has_ended_can_be_replayed_and_nothing_else(db: Database, state: InvocationState) -> None:
    woken = make_agent_with_trigger(db)
    invocation_id = bring_to(db, woken, state)
    if state not in FINAL_STATES:
        with db.begin() as conn, pytest.raises(Conflict, match="only one that has ended"):
            replay(conn, DEFAULT_TENANT, invocation_id, "key:test")
        return
    with db.begin() as conn:
        window_id = replay(conn, DEFAULT_TENANT, invocation_id, "key:test")
    row = row_of(db, invocation_id)
    assert (row.state, row.replayed_into) == (state, window_id)
    assert firing_states(db, row.firing_ids) == {"pending"}
    assert audited(db, invocation_id)[-1] == "invocation.replayed"
    assert close(db).ready == [window_id]
    assert row_of(db, window_id).firing_ids == row.firing_ids


def test_replayed_firings_ride_with_newer_ones_oldest_first(db: Database) -> None:
    woken = make_agent_with_trigger(db, dedup_delay_seconds=600.0)
    old = fire(db, woken, immediate=True)
    dead = run_once(db, Failed("no", permanent=True))
    new = fire(db, woken)
    window = window_of(db, woken)
    with db.begin() as conn:
        assert replay(conn, DEFAULT_TENANT, dead, "key:test") == window.id
    [invocation_id] = close(db).ready
    assert row_of(db, invocation_id).firing_ids == old + new


def test_a_replay_into_a_held_window_waits_with_it(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    fire(db, woken)
    dead = run_once(db, Failed("no", permanent=True))
    fire(db, woken)
    close(db)
    fire(db, woken)
    close(db)
    with db.begin() as conn:
        replay(conn, DEFAULT_TENANT, dead, "key:test")
    held = window_of(db, woken)
    assert (held.due_at, held.held_reason, held.firing_count) == (None, "busy", 2)


def test_a_second_replay_has_to_wait_for_the_end_of_the_first(db: Database) -> None:
    woken = make_agent_with_trigger(db)
    firings = fire(db, woken)
    dead = run_once(db, Failed("no", permanent=True))
    with db.begin() as conn:
        window_id = replay(conn, DEFAULT_TENANT, dead, "key:test")
    for _ in ("waiting", "ready"):
        with db.begin() as conn, pytest.raises(Conflict, match=str(window_id)):
            replay(conn, DEFAULT_TENANT, dead, "key:test")
        close(db)
    end(db, start(db, window_id), Replied("done"))
    with db.begin() as conn:
        again = replay(conn, DEFAULT_TENANT, dead, "key:test")
    assert row_of(db, dead).replayed_into == again
    with db.begin() as conn, pytest.raises(Conflict, match=str(again)):
        replay(conn, DEFAULT_TENANT, window_id, "key:test")
    [invocation_id] = close(db).ready
    assert row_of(db, invocation_id).firing_ids == firings


def test_the_invocation_of_another_tenant_or_of_a_deleted_agent_is_not_replayed(db: Database) -> None:
    invocation_id = bring_to(db, make_agent_with_trigger(db), InvocationState.DEAD)
    other = make_tenant(db, "other")
    with db.begin() as conn:
        with pytest.raises(NotFound):
            replay(conn, other, invocation_id, "key:other")
        with pytest.raises(NotFound):
            replay(conn, DEFAULT_TENANT, new_id(), "key:test")
    change(db, "UPDATE agents SET deleted_at = now()")
    with db.begin() as conn, pytest.raises(Conflict, match="deleted"):
        replay(conn, DEFAULT_TENANT, invocation_id, "key:test")


def test_an_invocation_that_awaits_its_report_cannot_be_replayed(db: Database) -> None:
    fire(db, make_agent_with_trigger(db))
    invocation_id = run_once(db, Accepted())
    with db.begin() as conn, pytest.raises(Conflict):
        replay(conn, DEFAULT_TENANT, invocation_id, "key:test")
