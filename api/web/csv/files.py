"""Lists as CSV (RFC 4180): all rows that match the filters, generated while they are sent."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import Connection

from api.server.wsgi import STREAMS
from scheduler.domain.local_time import zone_info
from scheduler.storage.engine import Database

BATCH = 500
"""The rows read in one transaction."""
FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that start a formula in a spreadsheet, including full-width ones."""

Fetch = Callable[..., Sequence[Any]]
"""Called with a connection, `limit` and `after`, the cursor of the last row; returns rows, newest first."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and the attribute or function that gives its value."""

    name: str
    value: Callable[[Any], object]


def columns_of(names: str) -> tuple[Column, ...]:
    """Returns a column for each of the attributes, whose names are separated by spaces."""
    return tuple(Column(name, attrgetter(name)) for name in names.split())


def csv_file(
    name: str,
    db: Database,
    fetch: Fetch,
    columns: Sequence[Column],
    zone: str,
    *,
    add: AddNames | None = None,
    cursor: Callable[[Any], Any] = attrgetter("id"),
) -> Response:
    """Returns the whole list as a download; times are in `zone`, with their offset."""
    return _file(name, _pages(db, fetch, columns, zone, add, cursor))


def csv_of(name: str, rows: Iterable[Any], columns: Sequence[Column], zone: str) -> Response:
    """Returns rows that were read as a download."""
    return _file(name, iter([_lines([[each.name for each in columns]]), _lines(_cells(rows, columns, zone))]))


AddNames = Callable[[Connection, Sequence[Any]], dict[UUID, str]]
"""Reads the names of the agents of rows."""


def cell(value: object, zone: str) -> object:
    """Returns the text of a cell. A text that a spreadsheet would run as a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(zone_info(zone)).isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = _text(value).replace("\0", "")
    is_formula = text.lstrip().startswith(FORMULAS) and not _is_number(text)
    return f"'{text}" if is_formula or text.startswith(("\t", "\r", "\n")) else text


def _text(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | set) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and not text[:1].isspace()


def _file(name: str, chunks: Iterator[bytes]) -> Response:
    request.environ[STREAMS] = True
    response = Response(chunks, content_type="text/csv; charset=utf-8; header=present")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def _pages(
    db: Database,
    fetch: Fetch,
    columns: Sequence[Column],
    zone: str,
    add: AddNames | None,
    cursor: Callable[[Any], Any],
) -> Iterator[bytes]:
    heads = [each.name for each in columns]
    yield _lines([heads + ([] if add is None else ["agent"])])
    after: Any = None
    while True:
        with db.begin() as conn:
            rows = fetch(conn, limit=BATCH, after=after)
            names = {} if add is None else add(conn, rows)
        cells = _cells(rows, columns, zone)
        if add is not None:
            cells = [
                [*each, cell(names.get(row.agent_id, ""), zone)] for row, each in zip(rows, cells, strict=True)
            ]
        if rows:
            yield _lines(cells)
        if len(rows) < BATCH:
            return
        after = cursor(rows[-1])


def _cells(rows: Iterable[Any], columns: Sequence[Column], zone: str) -> list[list[object]]:
    return [[cell(each.value(row), zone) for each in columns] for row in rows]


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
