"""The periodic check of on_message triggers finds what intake missed, once, with a constant number of queries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from scheduler.intake.messages import firings as message_check
from scheduler.intake.messages.firings import MissCache
from scheduler.intake.messages.intake import receive_message
from scheduler.manage.triggers.service import Triggers
from scheduler.storage.engine import Database
from tests.support.database import change, rows
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent
from tests.support.messages import (
    all_due,
    counted,
    hide_from_intake,
    listen,
    look,
    make_user,
    note,
    uncover,
    write,
)
from tests.support.stepped_scheduler import SteppedScheduler, stepped


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imitates a scheduler process that has not checked anything yet."""
    monkeypatch.setattr(message_check, "MISSES", MissCache(1000))


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
    change(db, "UPDATE triggers SET anchor_at = clock_timestamp() - interval '1 minute'")
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


def test_an_expression_that_cannot_be_read_any_more_stops_no_other(
    db: Database, scheduler: SteppedScheduler
) -> None:
    ada, grace = make_agent(db), make_user(db)
    broken, sound = (listen(db, ada, {"from_user": "grace", "text_match": {"regex": "x"}}) for _ in range(2))
    for each in (broken, sound):
        hide_from_intake(db, each.id)
    write(db, ada, "x", from_user_id=grace)
    change(
        db,
        "UPDATE triggers SET config = jsonb_set(config, '{text_match,regex}', '\"(\"') WHERE id = :id",
        id=broken.id,
    )
    for each in (broken, sound):
        uncover(db, each.id)
    look(db, scheduler)
    assert rows(db, "SELECT trigger_id FROM firings") == [(sound.id,)]
    (failed,) = rows(db, "SELECT subject_id, detail FROM audit_events WHERE action = 'trigger.match_failed'")
    assert (failed.subject_id, failed.detail["why"][:31]) == (broken.id, "the expression cannot be used: ")


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
    slow = rows(db, "SELECT detail->>'message_id' AS id FROM audit_events WHERE action = 'trigger.match_failed'")
    assert len(slow) == len({row.id for row in slow}) == 3
    with counted(db) as statements:
        look(db, scheduler)
    assert not [each for each in statements if "FROM messages m LEFT JOIN users" in each]


def test_a_flood_of_messages_does_not_hide_the_newest(db: Database, scheduler: SteppedScheduler) -> None:
    """Misses are cached per process: a new one checks the newest hundred again, not the flood."""
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace", "text_match": {"contains": "now"}})
    session = write(db, ada, "first", from_user_id=grace).session_id
    change(
        db,
        """
        INSERT INTO messages (id, tenant_id, session_id, from_type, from_id, to_agent_id, channel, text)
        SELECT gen_random_uuid(), tenant_id, session_id, from_type, from_id, to_agent_id, channel, 'noise'
        FROM messages, generate_series(1, 3000) WHERE session_id = :session
        """,
        session=session,
    )
    hide_from_intake(db, trigger.id)
    newest = write(db, ada, "now!", from_user_id=grace)
    uncover(db, trigger.id)
    look(db, scheduler)
    assert rows(db, "SELECT occurrence_key FROM firings") == [(f"message:{newest.message_id}",)]
