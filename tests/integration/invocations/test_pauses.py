"""A tenant, or everything, is paused: nothing is woken, everything is recorded, and earlier pauses stay."""

from __future__ import annotations

from uuid import UUID

import pytest

from scheduler.domain.model import HeldReason
from scheduler.domain.run import Replied
from scheduler.invocations.concurrency import read_candidates, rooms_of_tenants
from scheduler.invocations.recovery import reconcile
from scheduler.manage.pauses import Pauses
from scheduler.storage.engine import Database
from tests.support.database import rows
from tests.support.factories import DEFAULT_TENANT, make_tenant
from tests.support.invocations import (
    close,
    end,
    fire,
    make_agent_with_trigger,
    ready_one,
    row_of,
    start,
    window_of,
)

WHOLE = pytest.mark.parametrize("whole", [DEFAULT_TENANT, None], ids=["tenant", "service"])


@pytest.fixture
def pauses(db: Database) -> Pauses:
    return Pauses(db)


@WHOLE
def test_what_fires_during_a_pause_is_recorded_and_delivered_after_it(
    db: Database, pauses: Pauses, whole: UUID | None
) -> None:
    woken = make_agent_with_trigger(db)
    paused = pauses.pause(whole, actor="user:op", note="the model is down")
    assert (paused.is_paused, paused.paused_by, paused.paused_note) == (True, "user:op", "the model is down")
    fire(db, woken, 3)
    assert close(db).held == 1
    assert (window_of(db, woken).held_reason, window_of(db, woken).firing_count) == (HeldReason.PAUSED, 3)
    assert reconcile(db).freed == 0
    resumed = pauses.resume(whole, actor="user:op")
    assert (resumed.is_paused, resumed.paused_at, resumed.paused_by) == (False, None, None)
    [invocation_id] = close(db).ready
    assert row_of(db, invocation_id).firing_count == 3


@WHOLE
def test_what_was_paused_before_is_paused_after_it(db: Database, pauses: Pauses, whole: UUID | None) -> None:
    stopped, running = (
        make_agent_with_trigger(db, "stopped", is_paused=True),
        make_agent_with_trigger(db, "running"),
    )
    pauses.pause(whole, actor="op")
    for woken in (stopped, running):
        fire(db, woken)
    close(db)
    pauses.resume(whole, actor="op")
    assert len(close(db).ready) == 1
    assert window_of(db, stopped).held_reason == HeldReason.PAUSED


def test_a_tenant_stays_paused_when_the_service_is_resumed(db: Database, pauses: Pauses) -> None:
    woken = make_agent_with_trigger(db)
    pauses.pause(DEFAULT_TENANT, actor="op")
    pauses.pause(None, actor="op")
    fire(db, woken)
    close(db)
    pauses.resume(None, actor="op")
    assert close(db).ready == []
    assert window_of(db, woken).held_reason == HeldReason.PAUSED
    pauses.resume(DEFAULT_TENANT, actor="op")
    assert len(close(db).ready) == 1


@WHOLE
def test_nothing_that_is_ready_starts_and_what_runs_goes_on(
    db: Database, pauses: Pauses, whole: UUID | None
) -> None:
    running, ready = (
        start(db, ready_one(db, make_agent_with_trigger(db, "a"))),
        ready_one(db, make_agent_with_trigger(db, "b")),
    )
    pauses.pause(whole, actor="op")
    with db.begin() as conn:
        candidates = read_candidates(conn, [ready])
        assert rooms_of_tenants(conn, candidates)[DEFAULT_TENANT] <= 0
    assert end(db, running, Replied("done"))
    pauses.resume(whole, actor="op")
    with db.begin() as conn:
        assert rooms_of_tenants(conn, read_candidates(conn, [ready])) == {}


def test_another_tenant_is_woken_all_the_while(db: Database, pauses: Pauses) -> None:
    pauses.pause(make_tenant(db, "elsewhere"), actor="op")
    fire(db, make_agent_with_trigger(db))
    assert len(close(db).ready) == 1


def test_pausing_twice_changes_the_note_at_most_and_is_audited_once(db: Database, pauses: Pauses) -> None:
    first = pauses.pause(DEFAULT_TENANT, actor="a", note="one")
    assert pauses.pause(DEFAULT_TENANT, actor="b") == first
    second = pauses.pause(DEFAULT_TENANT, actor="b", note="two")
    assert (second.paused_note, second.paused_at) == ("two", first.paused_at)
    pauses.resume(DEFAULT_TENANT, actor="a")
    pauses.resume(DEFAULT_TENANT, actor="a")
    query = "SELECT action, actor FROM audit_events WHERE tenant_id = :id ORDER BY id"
    found = [(row.action, row.actor) for row in rows(db, query, id=DEFAULT_TENANT)]
    assert found == [("tenant.paused", "a"), ("tenant.paused", "b"), ("tenant.resumed", "a")]
