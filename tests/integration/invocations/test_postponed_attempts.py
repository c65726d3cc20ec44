"""Attempts that an agent or its model postpones: they wait, and use up none of the five for a time."""

from __future__ import annotations

from scheduler.domain.run import Failed
from scheduler.storage.engine import Database
from tests.support.database import change
from tests.support.invocations import close, end, ready_one, row_of, start


def test_tries_that_were_put_off_do_not_use_up_the_five_for_six_hours(db: Database) -> None:
    invocation_id = ready_one(db)
    put_off = Failed("HTTP 429", retry_after=1.0, was_put_off=True)
    waits = []
    for _ in range(8):
        end(db, start(db, invocation_id), put_off)
        row = row_of(db, invocation_id)
        waits.append((row.due_at - row.now).total_seconds())
        assert row.state == "retrying"
        change(db, "UPDATE invocations SET due_at = now()")
        close(db)
    assert all(least * 0.79 - 1 < wait for least, wait in zip([5, 15, 45, 135, 300, 300], waits, strict=False))
    assert {each["outcome"] for each in row.tries} == {"put_off"}
    for _ in range(4):
        end(db, start(db, invocation_id), Failed("HTTP 500", retry_after=1.0))
        change(db, "UPDATE invocations SET due_at = now()")
        close(db)
    change(
        db,
        """UPDATE invocations SET tries = jsonb_set(tries, '{0,started_at}',
            to_jsonb((now() - interval '6 hours')::text))""",
    )
    end(db, start(db, invocation_id), put_off)
    row = row_of(db, invocation_id)
    assert (row.state, row.tries[-1]["outcome"], len(row.tries)) == ("dead", "failed", 13)
