"""The interval check of on_message triggers: finds what intake could not, once, by a constant number of queries."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Row, event, text

from scheduler.clock.sync import Triggers
from scheduler.invocations import message_check
from scheduler.invocations.message_match import Misses
from scheduler.invocations.messages import receive_message
from scheduler.storage.engine import Database
from tests.clockwork import SteppedScheduler, stepped
from tests.factories import BOX, DEFAULT_TENANT, make_agent
from tests.messages import listen, make_user, note, write


@pytest.fixture
def db(sqlalchemy_url: str) -> Iterator[Database]:
    database = Database(sqlalchemy_url, pool_size=12)
    yield database
    database.dispose()


@pytest.fixture
def scheduler(db: Database) -> Iterator[SteppedScheduler]:
    with stepped(db) as one:
        yield one


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler process that has looked at nothing yet."""
    monkeypatch.setattr(message_check, "MISSES", Misses(1000))


def rows(db: Database, query: str, **values: object) -> list[Row[Any]]:
    with db.begin() as conn:
        return list(conn.execute(text(query), values))


def hide_from_intake(db: Database, trigger_id: UUID) -> None:
    """As if the trigger had begun to listen a minute ago, but had not been committed when intake looked."""
    execute(db, "UPDATE triggers SET is_enabled = false WHERE id = :id", id=trigger_id)


def uncover(db: Database, trigger_id: UUID) -> None:
    """It commits."""
    execute(
        db,
        "UPDATE triggers SET is_enabled = true, anchor_at = clock_timestamp() - interval '1 minute' WHERE id = :id",
        id=trigger_id,
    )


def execute(db: Database, statement: str, **values: object) -> None:
    with db.begin() as conn:
        conn.execute(text(statement), values)


def all_due(db: Database) -> None:
    """Every check is due now."""
    execute(db, "UPDATE jobs SET next_run_time = clock_timestamp() WHERE next_run_time IS NOT NULL")


def look(db: Database, scheduler: SteppedScheduler) -> None:
    """Every trigger's check once."""
    all_due(db)
    scheduler.run_pass()


def test_what_came_in_while_the_trigger_was_being_made_is_found_once(
    db: Database, scheduler: SteppedScheduler
) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"})
    hide_from_intake(db, trigger.id)
    first, second = (write(db, ada, each, from_user_id=grace) for each in ("one", "two"))
    assert first.firing_ids == []
    uncover(db, trigger.id)
    for _ in range(3):
        look(db, scheduler)
    found = rows(db, "SELECT occurrence_key, data, scheduled_for FROM firings ORDER BY id")
    assert [row.occurrence_key for row in found] == [
        f"message:{first.message_id}",
        f"message:{second.message_id}",
    ]
    assert found[0].data["messages"][0]["text"] == "one"
    assert rows(db, "SELECT fire_count FROM triggers") == [(2,)]


def test_a_check_is_a_look_and_fires_nothing_by_itself(db: Database, scheduler: SteppedScheduler) -> None:
    trigger = listen(db, make_agent(db), {"from_user": str(make_user(db))}, max_fires=1)
    for _ in range(3):
        look(db, scheduler)
    assert rows(db, "SELECT id FROM firings") == []
    (job,) = rows(db, "SELECT next_run_time > clock_timestamp() AS waits FROM jobs")
    assert job.waits
    assert Triggers(db, BOX).get(DEFAULT_TENANT, trigger.id).is_enabled


def test_a_message_that_commits_after_a_newer_one_was_seen_is_not_skipped(
    db: Database, scheduler: SteppedScheduler
) -> None:
    ada, grace = make_agent(db), make_user(db)
    write(db, ada, "opens the session", from_user_id=grace)
    trigger = listen(db, ada, {"from_user": "grace"})
    hide_from_intake(db, trigger.id)
    with db.engine.connect() as slow:
        late = receive_message(slow, note(ada, "late", from_user_id=grace))
        newer = write(db, ada, "newer", from_user_id=grace)
        assert late.message_id < newer.message_id
        uncover(db, trigger.id)
        look(db, scheduler)
        seen = rows(db, "SELECT occurrence_key FROM firings WHERE trigger_id = :id", id=trigger.id)
        assert (f"message:{newer.message_id}",) in seen
        assert (f"message:{late.message_id}",) not in seen
        slow.commit()
    look(db, scheduler)
    seen = rows(db, "SELECT occurrence_key FROM firings WHERE trigger_id = :id", id=trigger.id)
    assert (f"message:{late.message_id}",) in seen
    assert len(seen) == len(set(seen))


def test_what_was_written_before_a_trigger_or_during_its_pause_does_not_fire(
    db: Database, scheduler: SteppedScheduler
) -> None:
    ada, grace = make_agent(db), make_user(db)
    write(db, ada, "before", from_user_id=grace)
    trigger = listen(db, ada, {"from_user": "grace"})
    triggers = Triggers(db, BOX)
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    write(db, ada, "during", from_user_id=grace)
    triggers.resume(DEFAULT_TENANT, trigger.id, actor="test")
    look(db, scheduler)
    assert rows(db, "SELECT id FROM firings") == []
    triggers.pause(DEFAULT_TENANT, trigger.id, actor="test")
    write(db, ada, "shall match later", from_user_id=grace)
    triggers.update(
        DEFAULT_TENANT,
        trigger.id,
        {"config": {"text_match": {"contains": "later"}}, "is_enabled": True},
        actor="test",
    )
    look(db, scheduler)
    assert rows(db, "SELECT id FROM firings") == []


def test_intake_and_check_at_once_make_one_firing(db: Database) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"})
    execute(db, "UPDATE triggers SET anchor_at = clock_timestamp() - interval '1 minute'")
    rounds = 15
    together = Barrier(3)

    def check() -> None:
        with stepped(db) as one:
            for _ in range(rounds):
                all_due(db)
                together.wait()
                for _ in range(3):
                    one.run_pass()

    def intake() -> None:
        for n in range(rounds):
            together.wait()
            for _ in range(4):
                write(db, ada, str(n), from_user_id=grace)

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(each) for each in (check, check, intake)]:
            done.result()
    with stepped(db) as one:
        look(db, one)
    recorded = rows(db, "SELECT occurrence_key, count(*) AS times FROM firings GROUP BY 1")
    assert [row.times for row in recorded] == [1] * (4 * rounds)
    assert rows(db, "SELECT fire_count FROM triggers WHERE id = :id", id=trigger.id) == [(4 * rounds,)]


def test_max_fires_holds_in_a_check(db: Database, scheduler: SteppedScheduler) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace"}, max_fires=2)
    hide_from_intake(db, trigger.id)
    for n in range(4):
        write(db, ada, str(n), from_user_id=grace)
    uncover(db, trigger.id)
    look(db, scheduler)
    look(db, scheduler)
    told = rows(db, "SELECT data->'messages'->0->>'text' AS line FROM firings ORDER BY id")
    assert [row.line for row in told] == ["0", "1"]
    ended = Triggers(db, BOX).get(DEFAULT_TENANT, trigger.id)
    assert (ended.is_enabled, ended.paused_note, ended.next_fire_at) == (False, "max_fires", None)


def test_texts_that_do_not_match_are_judged_once(
    db: Database, scheduler: SteppedScheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace", "text_match": {"regex": "(a|aa)+$"}})
    hide_from_intake(db, trigger.id)
    for _ in range(3):
        write(db, ada, "a" * 60 + "b", from_user_id=grace)
    good = write(db, ada, "aaa", from_user_id=grace)
    uncover(db, trigger.id)
    monkeypatch.setattr(message_check, "MATCH_SECONDS", 0.15)
    for _ in range(4):
        look(db, scheduler)
    assert rows(db, "SELECT occurrence_key FROM firings") == [(f"message:{good.message_id}",)]
    slow = rows(
        db, "SELECT detail->>'message_id' AS id FROM audit_events WHERE action = 'trigger.match_timed_out'"
    )
    assert len(slow) == len({row.id for row in slow}) == 3
    with counted(db) as statements:
        look(db, scheduler)
    assert not [each for each in statements if "FROM messages m LEFT JOIN users" in each]


@pytest.mark.parametrize("count", [10, 1000])
def test_a_pass_over_many_message_triggers_makes_as_many_queries_as_over_few(
    db: Database, scheduler: SteppedScheduler, count: int
) -> None:
    crowd(db, count)
    scheduler.run_pass()
    all_due(db)
    with counted(db) as statements:
        scheduler.run_pass()
    looks = [each for each in statements if "CROSS JOIN LATERAL" in each and "messages m" in each]
    assert len(looks) == 1
    assert len(statements) <= 12
    write_to_all(db)
    all_due(db)
    with counted(db) as statements:
        scheduler.run_pass()
    assert len([each for each in statements if "messages m" in each]) == 2
    assert len(statements) <= 20
    assert rows(db, "SELECT count(*) FROM firings") == [(min(count, 200),)]


def test_ten_thousand_message_triggers_cost_one_query_for_each_pass_of_a_thousand(
    db: Database, scheduler: SteppedScheduler
) -> None:
    crowd(db, 10_000)
    all_due(db)
    with counted(db) as statements:
        for _ in range(10):
            scheduler.run_pass()
    looks = [each for each in statements if "CROSS JOIN LATERAL" in each and "messages m" in each]
    assert len(looks) == 10
    assert rows(db, "SELECT count(*) FROM jobs WHERE next_run_time <= clock_timestamp()") == [(0,)]


def crowd(db: Database, count: int) -> None:
    """So many on_message triggers, each of an agent of its own and listening for one user."""
    make_user(db)
    listen(db, make_agent(db), {"from_user": "grace"})
    execute(
        db,
        """
        WITH made AS (
            INSERT INTO agents (id, tenant_id, name, runtime_kind, runtime)
            SELECT gen_random_uuid(), tenant_id, 'agent ' || n, runtime_kind, runtime
            FROM agents, generate_series(2, :count) AS n RETURNING id
        ), copied AS (
            INSERT INTO triggers (id, tenant_id, agent_id, name, type, config, zone, cooldown_seconds)
            SELECT gen_random_uuid(), t.tenant_id, made.id, t.name, t.type, t.config, t.zone, 0
            FROM triggers t, made RETURNING id
        )
        INSERT INTO jobs (trigger_id, kind, next_run_time) SELECT id, 'fire', clock_timestamp() FROM copied
        """,
        count=count,
    )


def write_to_all(db: Database) -> None:
    """A message to every agent, which intake did not get to see the triggers for."""
    execute(
        db,
        """
        WITH opened AS (
            INSERT INTO sessions (id, tenant_id, agent_id, user_id, channel)
            SELECT gen_random_uuid(), a.tenant_id, a.id, u.id, 'web' FROM agents a, users u RETURNING *
        )
        INSERT INTO messages (id, tenant_id, session_id, from_type, from_id, to_agent_id, channel, text)
        SELECT gen_random_uuid(), tenant_id, id, 'user', user_id, agent_id, 'web', 'hello' FROM opened
        """,
    )


class counted:  # noqa: N801  # reads as a verb in `with counted(db)`
    """The statements that a database is sent inside the block."""

    def __init__(self, db: Database) -> None:
        self._engine = db.engine
        self._statements: list[str] = []

    def __enter__(self) -> list[str]:
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self._statements

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def _note(self, _conn: Connection, _cursor: object, statement: str, *_: object) -> None:
        self._statements.append(statement)
