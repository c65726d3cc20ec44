"""Wakes by a call, and what keeps agents from waking each other endlessly."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from scheduler.domain.errors import Conflict, InvalidField, LimitReached, NotFound
from scheduler.domain.ids import new_id
from scheduler.domain.model import MAX_DEPTH
from scheduler.domain.run import Replied
from scheduler.intake.wakes.intake import Call, WakeResult, wake
from scheduler.invocations.requests import PreparedRun, prepare_all
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.database import rows, until_blocked
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent, make_tenant
from tests.support.invocations import close, end, start
from tests.support.messages import listen, make_user, write
from tests.support.stepped_scheduler import stepped


def agent(db: Database, name: str) -> UUID:
    """An agent whose windows close at once."""
    return make_agent(db, name, dedup_delay_seconds=0.0)


def call(db: Database, agent_id: UUID, **values: Any) -> WakeResult:
    """Makes a call as an agent of the default tenant."""
    fields: dict[str, Any] = {"message": "wake up"}
    return wake(db, Call(DEFAULT_TENANT, agent_id, **(fields | values)), actor="key:test")


def start_next(db: Database) -> Any:
    """Closes the due window, and begins to run it."""
    [invocation_id] = close(db).ready
    return start(db, invocation_id)


def run_next(db: Database) -> None:
    """Closes the due window, and runs it to its end."""
    end(db, start_next(db), Replied("done"))


def test_a_call_is_a_firing_of_the_agents_own_wake_trigger(db: Database) -> None:
    ada = make_agent(db, "ada", max_triggers=0)
    first, second = call(db, ada, message="x" * 3000), call(db, ada)
    assert first.invocation_id == second.invocation_id
    one, two = rows(db, "SELECT * FROM firings ORDER BY id")
    assert (one.id, two.id) == (first.firing_id, second.firing_id)
    assert (one.trigger_type, one.trigger_name, one.trust, one.depth) == ("wake", "wake", "verified", 0)
    assert one.data == {
        "messages": [
            {"from": {"type": "caller", "id": None, "name": "key:test"}, "text": "x" * 3000, "length": 3000}
        ]
    }
    assert rows(db, "SELECT type, is_system, fire_count FROM triggers") == [("wake", True, 2)]
    events = rows(db, "SELECT action, actor FROM audit_events WHERE action LIKE 'agent.%'")
    assert events == [("agent.woken", "key:test")] * 2


def test_skip_dedup_closes_the_window_now(db: Database) -> None:
    ada = make_agent(db, dedup_delay_seconds=600)
    call(db, ada)
    assert close(db).ready == []
    call(db, ada, skip_dedup=True)
    assert len(close(db).ready) == 1


def test_invalid_calls_are_refused(db: Database) -> None:
    ada = make_agent(db, "ada")
    foreign = make_agent(db, "foreign", make_tenant(db, "elsewhere"))
    for gone in (new_id(), foreign):
        with pytest.raises(NotFound):
            call(db, gone)
        with pytest.raises(NotFound):
            call(db, ada, from_agent_id=gone)
    for message in ("", "x" * 70_000):
        with pytest.raises(InvalidField):
            call(db, ada, message=message)
    assert rows(db, "SELECT id FROM firings") == []


def test_the_wake_trigger_can_be_paused_and_not_deleted(db: Database) -> None:
    ada = make_agent(db)
    call(db, ada)
    (trigger,) = rows(db, "SELECT id FROM triggers")
    triggers = Triggers(db, BOX)
    with pytest.raises(Conflict, match="A system trigger cannot be deleted"):
        triggers.delete(DEFAULT_TENANT, trigger.id, actor="test")
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    with pytest.raises(Conflict, match="accepts no calls"):
        call(db, ada)
    triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")
    call(db, ada)


def test_a_call_during_a_run_is_one_deeper_and_keeps_the_root(db: Database) -> None:
    ada, bob = agent(db, "ada"), agent(db, "bob")
    root = call(db, ada).firing_id
    claimed = start_next(db)
    called = call(db, bob, from_agent_id=ada).firing_id
    assert rows(db, "SELECT root_id, depth, trust FROM firings WHERE id = :id", id=called) == [(root, 1, "agent")]
    end(db, claimed, Replied("done"))
    after = call(db, bob, from_agent_id=ada).firing_id
    assert rows(db, "SELECT root_id, depth FROM firings WHERE id = :id", id=after) == [(after, 0)]


@pytest.mark.parametrize("ring", [2, 3])
def test_a_ring_of_calls_ends_by_its_depth_whatever_its_length(db: Database, ring: int) -> None:
    agents = [agent(db, f"agent {n}") for n in range(ring)]
    root = call(db, agents[0]).firing_id
    for depth in range(1, MAX_DEPTH + 1):
        claimed = start_next(db)
        call(db, agents[depth % ring], from_agent_id=claimed.agent_id)
        end(db, claimed, Replied("done"))
    claimed = start_next(db)
    with pytest.raises(LimitReached, match=f"started with firing {root}") as refused:
        call(db, agents[(MAX_DEPTH + 1) % ring], from_agent_id=claimed.agent_id)
    assert refused.value.retry_after is None
    assert rows(db, "SELECT max(depth), count(DISTINCT root_id) FROM firings") == [(MAX_DEPTH, 1)]
    (event,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'agent.wake_refused'")
    assert event.detail["from_agent_id"] == str(claimed.agent_id)


def test_a_pair_has_three_wakes_in_five_minutes_and_other_pairs_have_their_own(db: Database) -> None:
    ada, bob, cleo = agent(db, "ada"), agent(db, "bob"), agent(db, "cleo")
    for _ in range(3):
        call(db, bob, from_agent_id=ada)
        run_next(db)
    with pytest.raises(LimitReached) as refused:
        call(db, bob, from_agent_id=ada)
    assert 290 < (refused.value.retry_after or 0) <= 300
    for other in ({"from_agent_id": cleo}, {}):
        call(db, bob, **other)
        run_next(db)
    call(db, ada, from_agent_id=bob)
    run_next(db)
    with db.begin() as conn:
        conn.execute(text("UPDATE pair_wakes SET woken_at = woken_at - interval '301 seconds'"))
    call(db, bob, from_agent_id=ada)
    assert rows(db, "SELECT count(*) FROM pair_wakes WHERE from_agent_id = :id", id=ada) == [(1,)]


def test_a_wake_that_is_merged_or_refused_spends_none(db: Database) -> None:
    ada, bob = agent(db, "ada"), agent(db, "bob")
    for _ in range(10):
        call(db, bob, from_agent_id=ada)
    assert rows(db, "SELECT count(*) FROM pair_wakes") == [(1,)]
    run_next(db)
    for _ in range(2):
        call(db, bob, from_agent_id=ada)
        run_next(db)
    for _ in range(3):
        with pytest.raises(LimitReached):
            call(db, bob, from_agent_id=ada)
    assert rows(db, "SELECT count(*) FROM pair_wakes") == [(3,)]
    call(db, bob)
    assert call(db, bob, from_agent_id=ada).firing_id


def test_a_window_that_closes_under_a_call_is_not_opened_again_for_free(db: Database) -> None:
    """The call waits for the outcome of the window that it would join."""
    ada, bob = agent(db, "ada"), agent(db, "bob")
    call(db, bob, from_agent_id=ada)
    with ThreadPoolExecutor(1) as pool:
        with db.begin() as closing:
            closing.execute(text("UPDATE invocations SET state = 'succeeded' WHERE state = 'collecting'"))
            called = pool.submit(call, db, bob, from_agent_id=ada)
            until_blocked(db)
        called.result(20)
    assert rows(db, "SELECT count(*) FROM invocations") == [(2,)]
    assert rows(db, "SELECT count(*) FROM pair_wakes") == [(2,)]


def test_calls_at_once_count_one_limit(db: Database) -> None:
    """Each window is closed at once, so every call would open one."""
    ada, bob = agent(db, "ada"), agent(db, "bob")

    def call_and_run(_: int) -> int:
        try:
            call(db, bob, from_agent_id=ada)
        except LimitReached:
            return 0
        with db.begin() as conn:
            conn.execute(text("UPDATE invocations SET state = 'succeeded' WHERE state = 'collecting'"))
        return 1

    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(call_and_run, range(24)))
    assert rows(db, "SELECT count(*) FROM pair_wakes") == [(3,)]
    assert rows(db, "SELECT count(*) FROM invocations") == [(3,)]
    assert rows(db, "SELECT count(*) FROM firings") == [(made,)]
    assert rows(db, "SELECT count(*) FROM triggers WHERE type = 'wake'") == [(1,)]


def test_agents_that_answer_each_others_messages_stop_by_themselves_and_it_is_noted(db: Database) -> None:
    ada, bob, cleo = agent(db, "ada"), agent(db, "bob"), agent(db, "cleo")
    following = {ada: bob, bob: cleo, cleo: ada}
    for reader, writer in ((bob, "ada"), (cleo, "bob"), (ada, "cleo")):
        listen(db, reader, {"from_agent": writer})
    listen(db, ada, {"from_user": str(make_user(db))})
    root = write(db, ada, from_user_id=rows(db, "SELECT id FROM users")[0].id).firing_ids[0]
    runs = 0
    while ready := close(db).ready:
        claimed = start(db, ready[0])
        write(db, following[claimed.agent_id], "and you?", from_agent_id=claimed.agent_id)
        end(db, claimed, Replied("done"))
        runs += 1
    assert runs == MAX_DEPTH + 1
    to_agents = rows(db, "SELECT count(*), max(depth) FROM messages WHERE to_agent_id IS NOT NULL")
    assert to_agents == [(runs + 1, MAX_DEPTH + 1)]
    (event,) = rows(db, "SELECT detail FROM audit_events WHERE action = 'trigger.limit'")
    assert (event.detail["why"], event.detail["root_id"]) == ("depth", str(root))
    with stepped(db) as scheduler:
        with db.begin() as conn:
            conn.execute(text("UPDATE jobs SET next_run_time = clock_timestamp()"))
        scheduler.run_pass()
    assert rows(db, "SELECT count(*) FROM firings") == [(runs,)]


def test_messages_of_agents_outside_of_any_run_are_bounded_by_pair_and_refused_for_good(db: Database) -> None:
    ada, bob = agent(db, "ada"), agent(db, "bob")
    trigger = listen(db, bob, {"from_agent": "ada"})
    for _ in range(3):
        assert write(db, bob, from_agent_id=ada).firing_ids
        run_next(db)
    refused = write(db, bob, "one more", from_agent_id=ada)
    assert refused.firing_ids == []
    (event,) = rows(db, "SELECT subject_id, detail FROM audit_events WHERE action = 'trigger.limit'")
    assert (event.subject_id, event.detail["why"]) == (trigger.id, "pair")
    with db.begin() as conn:
        conn.execute(text("UPDATE pair_wakes SET woken_at = woken_at - interval '301 seconds'"))
        conn.execute(text("UPDATE jobs SET next_run_time = clock_timestamp()"))
    with stepped(db) as scheduler:
        scheduler.run_pass()
    assert rows(db, "SELECT count(*) FROM firings") == [(3,)]
    assert write(db, bob, "later", from_agent_id=ada).firing_ids


def test_a_users_messages_know_no_such_limit(db: Database) -> None:
    ada, grace = agent(db, "ada"), make_user(db)
    listen(db, ada, {"from_user": "grace"})
    for _ in range(5):
        assert write(db, ada, from_user_id=grace).firing_ids
        run_next(db)


def test_what_was_said_reaches_the_agent_with_its_sender_and_its_trust(db: Database) -> None:
    """The context that the agent reads, and the data beside it."""
    ada, bob, grace = agent(db, "ada"), agent(db, "bob"), make_user(db, display_name="Grace H.")
    listen(db, ada, {"from_user": "grace"}, reason="Answer her.")
    said = write(db, ada, "x" * 3_000, from_user_id=grace)
    call(db, ada, message="y" * 1_500, from_agent_id=bob)
    claimed = start_next(db)
    with db.begin() as conn:
        work = prepare_all(conn, [claimed], "http://localhost", BOX)[claimed.id]
    assert isinstance(work, PreparedRun)
    context = work.request.context
    assert "Message from Grace H.:" in context
    assert f"(truncated: 1000 more characters; the whole is message {said.message_id})" in context
    assert "Message from bob:" in context
    assert "y" * 1_500 in context
    assert re.findall(r"source=(\w+) trust=(\w+)", context) == [("on_message", "verified"), ("wake", "agent")]
    first, second = work.request.firings
    assert first.data is not None and first.data["messages"][0]["message_id"] == str(said.message_id)
    assert second.trigger.type == "wake"
