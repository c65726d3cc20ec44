"""A transaction that gives way waits at each of its statements."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from scheduler.domain.right_of_way import RightOfWay
from scheduler.storage.engine import Database, give_way


def test_a_transaction_that_gives_way_waits_before_each_statement(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waits = 100.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waits.append(now)

    way = RightOfWay(lambda: now, sleep)
    monkeypatch.setattr("scheduler.storage.engine.WAY", way)
    with db.begin() as conn:
        way.take(0.01)
        conn.execute(text("SELECT 1"))
        assert not waits
        give_way(conn)
        conn.execute(text("SELECT 1"))
        assert waits
        now += 1
        way.take(0.01)
        first = len(waits)
        conn.execute(text("SELECT 1"))
        assert len(waits) > first
    way.take(0.01)
    with db.begin() as conn:
        conn.execute(text("SELECT 1"))
    assert waits[-1] < now or len(waits) == 2 * first, "the next transaction on that connection does not"
