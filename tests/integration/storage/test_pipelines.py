"""Statements that are sent together behave as if each had been sent alone, but for when an error appears."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage.engine import Database
from scheduler.storage.pipelines import savepoint, send_along
from scheduler.storage.silent_connections import PatientConnection

ADD = text("INSERT INTO pipelined (id) VALUES (:id)")
COUNT = text("SELECT count(*) FROM pipelined")
TELL = text("SELECT id FROM pipelined ORDER BY id")


@pytest.fixture
def table(db: Database) -> Iterator[Database]:
    with db.begin() as conn:
        conn.execute(text("CREATE TABLE pipelined (id int PRIMARY KEY)"))
    yield db
    with db.begin() as conn:
        conn.execute(text("DROP TABLE pipelined"))


def count(db: Database) -> int:
    with db.begin() as conn:
        found: int = conn.execute(COUNT).scalar_one()
        return found


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[PatientConnection]:
    """Returns a list that grows whenever a connection waits for the server."""
    seen: list[PatientConnection] = []
    wait = PatientConnection.wait

    def counted(self: PatientConnection, *args: Any, **kwargs: Any) -> Any:
        seen.append(self)
        return wait(self, *args, **kwargs)

    monkeypatch.setattr(PatientConnection, "wait", counted)
    return seen


def test_a_statement_sees_what_was_sent_before_it(table: Database) -> None:
    with table.begin() as conn:
        send_along(conn, ADD, id=1)
        first = send_along(conn, COUNT)
        send_along(conn, ADD, id=2)
        assert conn.execute(COUNT).scalar_one() == 2
        assert first.scalar() == 1, "the first was counted before the second was added"


def test_what_waits_is_sent_when_an_answer_is_read_and_only_once(table: Database) -> None:
    with table.begin() as conn:
        send_along(conn, ADD, id=1)
        found = send_along(conn, TELL)
        assert list(found.keys()) == ["id"]
        assert found.all() == [(1,)]
    assert count(table) == 1


def test_what_waits_is_sent_with_the_commit_and_its_answer_can_be_read_after_it(table: Database) -> None:
    with table.begin() as conn:
        send_along(conn, ADD, id=1)
        found = send_along(conn, COUNT)
    assert found.scalar() == 1
    assert count(table) == 1


def test_a_rollback_forgets_what_waits(table: Database) -> None:
    with table.engine.connect() as conn:
        send_along(conn, ADD, id=1)
        conn.rollback()
        conn.execute(COUNT)
        conn.commit()
    assert count(table) == 0


def test_an_autocommit_connection_sends_at_once(table: Database) -> None:
    with table.single() as conn:
        send_along(conn, ADD, id=1)
        assert count(table) == 1
        with pytest.raises(IntegrityError):
            send_along(conn, ADD, id=1)


def send_by(conn: Connection, end: str) -> None:
    """Lets what waits be sent by a statement, by reading an answer, or by the commit."""
    if end == "statement":
        conn.execute(COUNT)
    elif end == "answer":
        send_along(conn, COUNT).scalar()


def add_one_twice_then_many(db: Database, end: str) -> None:
    with db.begin() as conn:
        for number in (1, 1, *range(2, 300)):
            send_along(conn, ADD, id=number)
        send_by(conn, end)


@pytest.mark.parametrize("end", ["statement", "answer", "commit"])
def test_the_error_is_that_of_the_statement_that_failed(
    table: Database, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "psycopg"), pytest.raises(IntegrityError, match="pipelined_pkey"):
        add_one_twice_then_many(table, end)
    assert not caplog.records
    assert count(table) == 0


def add_then_fail(db: Database) -> None:
    with db.begin() as conn:
        send_along(conn, ADD, id=1)
        conn.execute(text("SELECT * FROM nowhere"))


def test_a_failed_statement_takes_back_what_was_sent_with_it(table: Database) -> None:
    with pytest.raises(ProgrammingError, match="nowhere"):
        add_then_fail(table)
    assert count(table) == 0


def lose_connection(db: Database, end: str) -> None:
    with db.begin() as conn, db.begin() as other:
        pid = conn.execute(text("SELECT pg_backend_pid()")).scalar_one()
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        send_along(conn, ADD, id=1)
        send_by(conn, end)
        conn.commit()


@pytest.mark.parametrize("end", ["statement", "answer", "commit"])
def test_a_lost_connection_is_an_outage(table: Database, end: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        lose_connection(table, end)
    assert count(table) == 0, "the pool has replaced the connection"


def test_an_error_goes_back_to_the_savepoint(table: Database) -> None:
    with table.begin() as conn:
        send_along(conn, ADD, id=1)
        with pytest.raises(IntegrityError), savepoint(conn):
            send_along(conn, ADD, id=1)
        with savepoint(conn):
            send_along(conn, ADD, id=2)
    assert count(table) == 2


def test_nothing_is_sent_before_it_has_to_be(table: Database, waits: list[PatientConnection]) -> None:
    with table.begin() as conn:
        conn.execute(COUNT)
        waits.clear()
        answers = [send_along(conn, COUNT) for _ in range(5)]
        assert not waits
        answers[-1].scalar()
        assert waits
        waits.clear()
        assert [each.scalar() for each in answers[:-1]] == [0] * 4
        assert not waits, "all were sent with the last one"
