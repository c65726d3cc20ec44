"""Rows as they stand in the database, read and changed behind the product's back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from scheduler.storage.engine import Database


def rows(db: Database, query: str, **values: object) -> list[Row[Any]]:
    """What a query gives."""
    with db.begin() as conn:
        return list(conn.execute(text(query), values))


def change(db: Database, statement: str, **values: object) -> None:
    """Run a statement that gives nothing."""
    with db.begin() as conn:
        conn.execute(text(statement), values)


def firings_by_slot(db: Database, trigger_id: UUID) -> list[Row[Any]]:
    """A trigger's firings, all columns, in the order of their slots."""
    return rows(db, "SELECT * FROM firings WHERE trigger_id = :id ORDER BY scheduled_for", id=trigger_id)
