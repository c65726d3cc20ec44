"""Reads and changes database rows directly."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from scheduler.storage.engine import Database


def rows(db: Database, query: str, **values: object) -> list[Row[Any]]:
    """Returns the rows of a query."""
    with db.begin() as conn:
        return list(conn.execute(text(query), values))


def change(db: Database, statement: str, **values: object) -> None:
    """Runs a statement without a result."""
    with db.begin() as conn:
        conn.execute(text(statement), values)


def until_blocked(db: Database) -> None:
    """Waits until a transaction waits for another one's lock."""
    deadline = time.monotonic() + 20
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while rows(db, query) == [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def firings_by_slot(db: Database, trigger_id: UUID) -> list[Row[Any]]:
    """Returns a trigger's firings with all columns, ordered by slot."""
    return rows(db, "SELECT * FROM firings WHERE trigger_id = :id ORDER BY scheduled_for", id=trigger_id)
