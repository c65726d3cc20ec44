"""A transaction that gives way waits at each of its statements; one that takes it does so at each of its own."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from scheduler.domain.right_of_way import STEP_SECONDS, RightOfWay
from scheduler.storage.engine import Database
from scheduler.storage.ways import give_way, take_way


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
    monkeypatch.setattr("scheduler.storage.ways.WAY", way)
    with db.begin() as conn:
        assert waits_of(conn) == 0
        give_way(conn)
        assert waits_of(conn) == 1
        assert waits_of(conn) == 1
    with db.begin() as conn:
        assert waits_of(conn) == 0, "the next transaction on the same connection does not"


def test_a_transaction_keeps_the_right_of_way_however_long_it_takes(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0

    def is_taken() -> bool:
        before = now
        way.give()
        return now > before

    def sleep(seconds: float) -> None:
        nonlocal now
        now += 10 * seconds

    way = RightOfWay(lambda: now, sleep)
    monkeypatch.setattr("scheduler.storage.ways.WAY", way)
    with db.begin() as conn:
        take_way(conn, STEP_SECONDS)
        assert is_taken()
        for _ in range(3):
            now += 1
            assert not is_taken(), "it is not taken for longer than asked"
            conn.execute(text("SELECT 1"))
            assert is_taken()
    now += 1
    with db.begin() as conn:
        conn.execute(text("SELECT 1"))
        assert not is_taken(), "the next transaction on the same connection does not take it"
