"""Many rows in one statement: as JSON, which PostgreSQL turns into the columns' types."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, TextClause, text


def insert_rows(conn: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which all have the same columns; the others get their defaults.

    Values are what JSON knows, UUIDs and times; no bytes.
    """
    if rows:
        conn.execute(_insert(table, tuple(rows[0])), {"rows": as_json(rows)})


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """`rows` for `json_populate_recordset` and `json_to_recordset`."""
    return json.dumps(rows, default=str, ensure_ascii=False)


@functools.cache
def _insert(table: str, columns: tuple[str, ...]) -> TextClause:
    names = ", ".join(columns)
    return text(f"""
        INSERT INTO {table} ({names})
        SELECT {names} FROM json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json))
    """)  # noqa: S608  # names of ours
