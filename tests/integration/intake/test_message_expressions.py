"""Regular expressions of on_message triggers: who has to wait for them, and who does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from scheduler.intake.messages.firings import MissCache, match_texts
from scheduler.intake.messages.intake import fire_matching, receive_message
from scheduler.intake.messages.statements import find_unfired
from scheduler.intake.processor_time import ProcessorTime
from scheduler.storage.engine import Database
from tests.support.factories import DEFAULT_TENANT, make_agent
from tests.support.messages import listen, make_user, note


def test_expressions_at_work_hold_no_connection(db: Database, sqlalchemy_url: str) -> None:
    """With a single connection, others continue while slow expressions examine a message."""
    ada, grace = make_agent(db), make_user(db)
    for place in range(8):
        listen(db, ada, {"from_user": "grace", "text_match": {"regex": f"(a|aa)+{place}"}}, name=f"slow {place}")
    quick = listen(db, ada, {"from_user": "grace", "text_match": {"regex": "b$"}}, name="quick")
    narrow = Database(sqlalchemy_url, pool_size=1)
    try:
        with narrow.begin() as conn:
            received = receive_message(conn, note(ada, "a" * 60 + "b", from_user_id=grace))
        assert (received.firing_ids, len(received.undecided)) == ([], 9)
        with ThreadPoolExecutor(1) as pool:
            heard = pool.submit(fire_matching, narrow, received)
            answered = 0
            while not heard.done():
                with narrow.begin() as conn:
                    answered += conn.execute(text("SELECT 1")).scalar_one()
        assert answered > 3
        assert len(heard.result().firing_ids) <= 1
    finally:
        narrow.dispose()
    if not heard.result().firing_ids:  # the time for one message was used up before: the check finds it
        with db.begin() as conn:
            assert [each[0].trigger_id for each in find_unfired(conn, [quick.id])] == [quick.id]


def test_what_uses_up_the_time_of_its_agent_is_left_to_the_check(db: Database) -> None:
    """The message is stored, and nothing counts as a miss."""
    ada, grace = make_agent(db), make_user(db)
    trigger = listen(db, ada, {"from_user": "grace", "text_match": {"regex": "o$"}})
    with db.begin() as conn:
        received = receive_message(conn, note(ada, from_user_id=grace))
    spent = ProcessorTime(agent_seconds=0.001)
    spent.use(DEFAULT_TENANT, ada, lambda: sum(range(1_000_000)))
    looked = match_texts(received.undecided, 1.0, MissCache(10), spent)
    assert (looked.found, looked.events) == ([], [])
    with db.begin() as conn:
        assert [each[0].trigger_id for each in find_unfired(conn, [trigger.id])] == [trigger.id]
