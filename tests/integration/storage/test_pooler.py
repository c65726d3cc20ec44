"""With a transaction pooler everything works except LISTEN, which bypasses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import psycopg
import pytest
from sqlalchemy import text

from config.settings import load_settings
from scheduler.cli import run
from scheduler.clock.listener import Listener
from scheduler.storage.engine import BY_INDEX, Database
from tests.support.pgbouncer import PgBouncer, pgbouncer
from tests.support.postgres import Databases

KEY = "a secret key behind a pooler"


@pytest.fixture(scope="module")
def by_transaction(databases: Databases) -> Iterator[PgBouncer]:
    with pgbouncer(databases, size=2) as running:
        yield running


def in_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    monkeypatch.setenv("REVEILLE_SECRET_KEY", KEY)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    run(["doctor", "--json"])
    return {each["name"]: (each["status"], each["text"]) for each in json.loads(capsys.readouterr().out)}


def test_repeated_statements_times_and_options_come_through(database_url: str, by_transaction: PgBouncer) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(f"ALTER DATABASE \"{name}\" SET timezone = 'Europe/Berlin'".encode())
    address = by_transaction.url(database_url).replace("postgresql:", "postgresql+psycopg:")
    indexed, plain = Database(address, pool_size=4, options=BY_INDEX), Database(address, pool_size=4)

    def ask(db: Database) -> set[tuple[object, ...]]:
        found: set[tuple[object, ...]] = set()
        for _ in range(12):  # more often than the driver runs a statement before preparing it
            with db.begin() as conn:
                row = conn.execute(
                    text("SELECT current_setting('enable_hashjoin'), CAST(:at AS timestamptz)"),
                    {"at": datetime(2026, 7, 1, 12, tzinfo=UTC)},
                ).one()
                found.add((row[0], row[1].utcoffset().total_seconds(), row[1].hour))
        return found

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, [indexed, plain] * 4))
    assert answers == [{("off", 0.0, 12)}, {("on", 0.0, 12)}] * 4
    indexed.dispose()
    plain.dispose()


def test_a_listener_hears_past_the_pooler_and_looks_by_itself_behind_it(
    database_url: str, by_transaction: PgBouncer
) -> None:
    for url in (database_url, by_transaction.url(database_url)):
        woken = Event()
        listener = Listener(url, woken.set)
        listener.start()
        assert woken.wait(10)
        listener.stop()


def test_the_doctor_names_the_pooler_and_the_way_past_it(
    database_url: str,
    databases: Databases,
    by_transaction: PgBouncer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    in_environment(monkeypatch, DATABASE_URL=by_transaction.url(database_url))
    status, found = findings(capsys)["pooler"]
    assert (status, "blocks NOTIFY" in found) == ("warn", True)
    for direct, expected in (
        (database_url, "ok"),
        (by_transaction.url(database_url), "warn"),
        (databases.server.url, "fail"),
        ("postgresql://nobody@127.0.0.1:1/none", "fail"),
    ):
        in_environment(monkeypatch, DATABASE_DIRECT_URL=direct)
        assert findings(capsys)["pooler"][0] == expected, direct
    assert load_settings().listen_url == "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_doctor_says_how_it_goes_past_a_pooler_of_either_mode(
    database_url: str,
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: str,
) -> None:
    with pgbouncer(databases, mode) as running:
        in_environment(monkeypatch, DATABASE_URL=running.url(database_url), DATABASE_DIRECT_URL=database_url)
        assert findings(capsys)["pooler"] == ("ok", "through a pooler, LISTEN uses DATABASE_DIRECT_URL")


def test_statement_mode_is_refused_in_one_line(
    database_url: str, databases: Databases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pgbouncer(databases, "statement") as running:
        in_environment(monkeypatch, DATABASE_URL=running.url(database_url))
        for command in (["worker"], ["worker", "--role", "scheduler"], ["migrate"]):
            assert run(command) == 2
            [line] = capsys.readouterr().err.splitlines()
            assert "pool_mode = transaction" in line
        status, found = findings(capsys)["database"]
        assert (status, "statement pooling" in found) == ("fail", True)
