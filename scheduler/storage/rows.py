"""Rows: many inserted in one statement, as JSON, and those of a result read as objects by the names of columns."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, TextClause, text

T = TypeVar("T")


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


def reader(shape: type[T], columns: Iterable[str]) -> Callable[[Sequence[Any]], T]:
    """The function that reads rows with `columns` as `shape`, a dataclass, a NamedTuple or a table of several columns.

    Columns are matched with fields by name; further ones are left out. Raises TypeError where a field has none.
    """
    places = {name: place for place, name in enumerate(columns)}
    known: Any = shape
    names = _names_of(known)
    fields = [name for name in names if name in places]
    pick = itemgetter(*(places[name] for name in fields))
    if hasattr(shape, "_fields") and len(fields) == len(names):
        make: Callable[[Sequence[Any]], T] = known._make
        return lambda row: make(pick(row))
    return lambda row: known(**dict(zip(fields, pick(row), strict=True)))


def _names_of(shape: Any) -> Sequence[str]:
    if hasattr(shape, "__table__"):
        return [*shape.__table__.columns.keys()]
    return [*(shape._fields if hasattr(shape, "_fields") else shape.__dataclass_fields__)]


def rows_as(shape: type[T], result: CursorResult[Any]) -> list[T]:
    """The rows of a result as `shape`, by the names of its columns."""
    return [*map(reader(shape, result.keys()), result)]


def one_as(shape: type[T], result: CursorResult[Any]) -> T:
    """The only row of a result that has one, as `shape`."""
    (found,) = rows_as(shape, result)
    return found


def row_as(shape: type[T], result: CursorResult[Any]) -> T | None:
    """The only row of a result as `shape`; None where there is none."""
    found = rows_as(shape, result)
    if len(found) > 1:
        raise ValueError(f"{len(found)} rows where one is expected")
    return found[0] if found else None
