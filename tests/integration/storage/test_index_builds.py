"""A migration builds indexes while requests write: it holds up none of them, and says for whom it waits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from sqlalchemy import Connection, text

from scheduler.domain.errors import DatabaseUnavailable
from scheduler.storage import index_builds
from scheduler.storage.engine import Database
from scheduler.storage.migrate import current_revision, downgrade, head_revision, upgrade
from tests.support.database import rows, until_blocked
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import Databases

BEFORE = "0038"
TABLES = ("firings", "invocations", "webhook_deliveries", "messages", "notifications", "audit_events")
INDEXES = """
    SELECT c.relname AS name, i.indisvalid AS is_valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relname LIKE 'ix\\_%\\_age' ORDER BY 1
"""
ALL = [
    ("ix_firings_age", True),
    ("ix_invocations_age", True),
    *((f"ix_{each}_tenant_age", True) for each in TABLES),
]


def write_to(conn: Connection, table: str) -> None:
    """Takes the lock that a request takes when it writes to a table; fails if it has to wait for it."""
    conn.execute(text(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE NOWAIT"))


@pytest.mark.parametrize("pooled", [False, True])
def test_requests_write_to_all_tables_while_a_build_waits_for_one(
    db: Database, databases: Databases, sqlalchemy_url: str, database_url: str, pooled: bool
) -> None:
    """The request that it waits for too, whatever it writes next; and a second migration waits for the first."""
    downgrade(sqlalchemy_url, BEFORE)
    with (
        pgbouncer(databases, "transaction") if pooled else nullcontext() as pooler,
        ThreadPoolExecutor(2) as threads,
    ):
        url = (
            sqlalchemy_url
            if pooler is None
            else pooler.url(database_url).replace("postgresql:", "postgresql+psycopg:")
        )
        with db.begin() as request:
            write_to(request, TABLES[0])
            migrations = [threads.submit(upgrade, url) for _ in range(2)]
            until_blocked(db)
            for table in TABLES:
                write_to(request, table)
                with db.begin() as other:
                    write_to(other, table)
            assert not any(each.done() for each in migrations)
        for each in migrations:
            each.result()
    assert sorted(rows(db, INDEXES)) == sorted(ALL)
    with db.begin() as conn:
        assert current_revision(conn) == head_revision()


def test_a_build_that_waits_too_long_says_for_whom_and_goes_on_with_the_next_migration(
    db: Database, sqlalchemy_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves behind is no whole index, and is replaced."""
    monkeypatch.setattr(index_builds, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(index_builds, "LONGEST_LOOKS", 3)
    downgrade(sqlalchemy_url, BEFORE)
    with db.begin() as request:
        pid = request.scalar(text("SELECT pg_backend_pid()"))
        write_to(request, "messages")
        with pytest.raises(
            DatabaseUnavailable, match=rf"messages .* process {pid} \(reveille, .* migrate again\."
        ):
            upgrade(sqlalchemy_url)
        with db.begin() as conn:
            assert current_revision(conn) == BEFORE
    assert ("ix_messages_tenant_age", False) in rows(db, INDEXES)
    upgrade(sqlalchemy_url)
    assert sorted(rows(db, INDEXES)) == sorted(ALL)
