"""A server or network that silently stops answering is noticed; one that is merely slow is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import text

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage import silent_connections
from scheduler.storage.engine import Database
from tests.support.proxy import Proxy, proxy


@pytest.fixture
def between(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the database, and a watch that asks after a third of a second."""
    monkeypatch.setattr(silent_connections, "ASK_AFTER", 0.3)
    monkeypatch.setattr(silent_connections, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(silent_connections, "CONNECT_TIMEOUT", 2)
    monkeypatch.setattr(silent_connections, "CONNECTION", {"connect_timeout": 2})
    with proxy(database_url) as running:
        yield running


@pytest.fixture
def far(between: Proxy, database_url: str) -> Iterator[Database]:
    db = Database(between.url(database_url).replace("postgresql:", "postgresql+psycopg:"), pool_size=2)
    yield db
    db.dispose()


def ask(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("SELECT 1"))


def test_a_connection_of_which_nothing_comes_back_is_cut_and_replaced(between: Proxy, far: Database) -> None:
    ask(far)
    between.lose_all()
    with pytest.raises(DatabaseUnavailable):
        ask(far)
    ask(far)


def test_no_process_waits_long_for_a_network_that_drops_everything(between: Proxy, far: Database) -> None:
    ask(far)
    between.swallows = True
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        ask(far)
    assert time.monotonic() - began < 60, "and the kernel would wait for a quarter of an hour"
    between.swallows = False
    ask(far)


def test_a_statement_that_takes_long_is_waited_for(far: Database) -> None:
    with far.begin() as conn:
        assert conn.execute(text("SELECT pg_sleep(1.2), 7")).one()[1] == 7


def test_a_connection_of_an_event_loop_is_cut_as_well(between: Proxy, database_url: str) -> None:
    async def lose() -> None:
        address = between.url(database_url)
        async with await silent_connections.PatientAsyncConnection.connect(address, autocommit=True) as conn:
            await conn.execute("SELECT 1")
            between.lose_all()
            await conn.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        asyncio.run(lose())


def test_the_server_lets_go_of_what_a_frozen_process_holds(db: Database) -> None:
    with db.begin() as conn:
        for name, value in silent_connections.SESSION.items():
            shown = str(conn.execute(text(f"SHOW {name}")).scalar_one())
            assert shown == value or "tcp" in name  # a Unix socket has none of TCP's
