"""Set-wise parameters: PostgreSQL array literals for values that need no quoting.

psycopg's own list adapter looks at every element and at every character of it, which took a third of a pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID


def array(values: Iterable[UUID | datetime | int | bool | None]) -> str:
    """`values` as the text of an array, for `CAST(:name AS type[])`. Not for text: nothing is quoted."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def time_array(values: Iterable[datetime | None]) -> str:
    """The same for times, of which many are equal: what is due together is due at one moment."""
    texts: dict[datetime | None, str] = {None: "NULL"}
    last, text, made = None, "NULL", []
    for value in values:
        if value is not last and value != last:  # most follow their like, and a time takes long to hash
            last, text = value, texts.get(value) or texts.setdefault(value, str(value))
        made.append(text)
    return "{" + ",".join(made) + "}"


def uuid_array(values: Iterable[UUID | None]) -> str:
    """The same for ids, whose hexadecimal digits alone are made in half the time."""
    return "{" + ",".join(["NULL" if value is None else value.hex for value in values]) + "}"


def word_array(values: Iterable[str]) -> str:
    """The same for the words of an enumeration of ours."""
    return "{" + ",".join(values) + "}"


def unless_all(values: list[Any], default: Any) -> list[Any]:
    """`values`, or none of them when all are `default`: `unnest` pads with NULL, which the statement reads so."""
    return [] if values.count(default) == len(values) else values


def text_array(values: Iterable[str]) -> str:
    """The same for texts of any kind, quoted; many are equal, as the times are."""
    quoted: dict[str, str] = {}
    return "{" + ",".join([quoted.get(value) or quoted.setdefault(value, _quote(value)) for value in values]) + "}"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
