"""Lowering a delay or a cooldown moves the open window to an earlier time, and breaks no other trigger's cooldown."""

from __future__ import annotations

from uuid import UUID

from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.api import Api
from tests.support.database import change, rows
from tests.support.factories import BOX, DEFAULT_TENANT, make_trigger
from tests.support.invocations import AgentWithTrigger, close, fire, make_agent_with_trigger


def waits(db: Database, woken: AgentWithTrigger) -> float:
    """Returns the seconds until the agent's window is due, at most 0 when it is."""
    query = (
        "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS waits FROM invocations "
        "WHERE agent_id = :id AND state = 'collecting'"
    )
    (row,) = rows(db, query, id=woken.agent_id)
    seconds: float = row.waits
    return seconds


def patch(db: Database, trigger_id: UUID, **values: object) -> None:
    Triggers(db, BOX).update(DEFAULT_TENANT, trigger_id, values, actor="key:test")


def cooling(db: Database) -> AgentWithTrigger:
    """An agent that was woken, whose trigger fired again during its cooldown of an hour."""
    woken = make_agent_with_trigger(db)
    patch(db, woken.trigger_id, cooldown_seconds=3600)
    fire(db, woken)
    (done,) = close(db).ready
    change(db, "UPDATE invocations SET state = 'succeeded' WHERE id = :id", id=done)
    fire(db, woken)
    assert 3500 < waits(db, woken) <= 3600
    return woken


def test_a_cooldown_that_is_lowered_brings_the_window_forward(db: Database) -> None:
    woken = cooling(db)
    patch(db, woken.trigger_id, cooldown_seconds=1800)
    assert 1700 < waits(db, woken) <= 1800
    patch(db, woken.trigger_id, cooldown_seconds=0)
    assert waits(db, woken) <= 0
    assert len(close(db).ready) == 1
    fire(db, woken)
    assert waits(db, woken) <= 0  # nor does the next one wait for a wake that never came


def test_a_higher_cooldown_and_another_triggers_leave_it_as_it_is(db: Database) -> None:
    woken = cooling(db)
    other = AgentWithTrigger(
        woken.agent_id, make_trigger(db, woken.agent_id, "webhook", name="b", cooldown_seconds=60).id
    )
    patch(db, woken.trigger_id, cooldown_seconds=7200)
    patch(db, other.trigger_id, cooldown_seconds=0)
    assert 3500 < waits(db, woken) <= 3600


def test_a_window_that_is_held_stays_held(db: Database) -> None:
    woken = cooling(db)
    change(db, "UPDATE invocations SET due_at = NULL, held_reason = 'paused' WHERE state = 'collecting'")
    patch(db, woken.trigger_id, cooldown_seconds=0)
    assert rows(db, "SELECT due_at FROM invocations WHERE state = 'collecting'") == [(None,)]


def test_an_agents_delay_that_is_lowered_brings_the_window_forward_but_to_no_cooldown(api: Api) -> None:
    db = api.db
    woken, cool = make_agent_with_trigger(db, "quick", dedup_delay_seconds=600.0), cooling(db)
    fire(db, woken)
    assert waits(db, woken) > 500
    for agent_id in (woken.agent_id, cool.agent_id):
        api.ok(api.call("PATCH", f"/agents/{agent_id}", {"dedup_delay_seconds": 1}), 200)
    assert waits(db, woken) <= 1
    assert waits(db, cool) > 3500


def test_a_smaller_batch_closes_a_window_that_is_full_by_it(api: Api) -> None:
    agent = api.agent("ada", dedup_delay_seconds=600)
    for _ in range(3):
        api.post(f"/agents/{agent['id']}/wake", {"message": "go"}, 202)
    for most, closed in ((4, 0), (2, 1), (1, 1)):
        api.patch(f"/agents/{agent['id']}", {"max_batch": most})
        assert len(close(api.db).ready) == closed
        if closed:
            change(api.db, "UPDATE invocations SET state = 'succeeded' WHERE state = 'ready'")
    sizes = [each.firing_count for each in rows(api.db, "SELECT firing_count FROM invocations")]
    assert (sum(sizes), max(sizes)) == (3, 2)
