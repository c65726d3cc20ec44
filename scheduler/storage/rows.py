"""Inserts many rows in one statement, as JSON, and reads result rows as typed objects by column name."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, TextClause, text

from scheduler.storage.pipelines import send_along

T = TypeVar("T")


def insert_rows(conn: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts `rows`, which must share the same columns; other columns get their defaults. A refusal appears later:
    at the next statement or at the commit.

    Values may be JSON types, UUIDs and datetimes, but not bytes.
    """
    if rows:
        send_along(conn, _insert(table, tuple(rows[0])), rows=as_json(rows))


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Encodes `rows` for `json_populate_recordset` and `json_to_recordset`."""
    return json.dumps(rows, default=str, ensure_ascii=False)


@functools.cache
def _insert(table: str, columns: tuple[str, ...]) -> TextClause:
    names = ", ".join(columns)
    return text(f"""
        INSERT INTO {table} ({names})
        SELECT {names} FROM json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json))
    """)  # noqa: S608  # names of ours


def reader(shape: type[T], columns: Iterable[str]) -> Callable[[Sequence[Any]], T]:
    """Returns a function that reads rows with `columns` as `shape`: a dataclass, a NamedTuple or a table.

    Columns are matched to fields by name; extra ones are ignored. Raises TypeError when a field has no column.
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


class Result(Protocol):
    """A result of SQLAlchemy, or the answer of a pipelined statement."""

    def keys(self) -> Iterable[str]:
        """Returns the names of the columns."""
        ...

    def all(self) -> Sequence[Any]:
        """Returns the rows."""
        ...


def rows_as(shape: type[T], result: Result) -> list[T]:
    """Reads the rows of a result as `shape`, by column name."""
    return [*map(reader(shape, result.keys()), result.all())]


def one_as(shape: type[T], result: Result) -> T:
    """Reads the only row of a result as `shape`."""
    (found,) = rows_as(shape, result)
    return found


def row_as(shape: type[T], result: Result) -> T | None:
    """Reads the only row of a result as `shape`; None when there is none."""
    found = rows_as(shape, result)
    if len(found) > 1:
        raise ValueError(f"{len(found)} rows where one is expected")
    return found[0] if found else None
