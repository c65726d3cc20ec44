"""A transaction that gives way waits at each of its statements."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from scheduler.domain.right_of_way import STEP_SECONDS, RightOfWay
from scheduler.storage.engine import Database, give_way


def test_a_transaction_that_gives_way_waits_before_each_statement(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waits = 100.0, 0

    def sleep(seconds: float) -> None:
        nonlocal now, waits
        now += seconds
        waits += 1

    def waits_of(conn: Connection) -> int:
        nonlocal now
        now += 1
        way.take(STEP_SECONDS)
        before = waits
        conn.execute(text("SELECT 1"))
        return waits - before

    way = RightOfWay(lambda: now, sleep)
    monkeypatch.setattr("scheduler.storage.engine.WAY", way)
    with db.begin() as conn:
        assert waits_of(conn) == 0
        give_way(conn)
        assert waits_of(conn) == 1
        assert waits_of(conn) == 1
    with db.begin() as conn:
        assert waits_of(conn) == 0, "the next transaction on the same connection does not"
