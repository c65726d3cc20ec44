"""Encodes array parameters in PostgreSQL's binary format, cheaply enough for thousands of values.

psycopg's list adapter inspects every element, which took a third of a pass, and parsing an id from text costs
PostgreSQL ten times as much as copying its bytes. The format is the one that `array_recv` reads: the number of
dimensions, whether there are NULLs, the element type, the element count, the first index, then each element after
its size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import Dialect
from sqlalchemy.types import UserDefinedType

_HEADER = struct.Struct(">iiIii")
_NULL = struct.pack(">i", -1)
_UUID_SIZE = struct.pack(">i", 16)
_TIME = struct.Struct(">iq")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class BinaryArray(bytes):
    """An array as PostgreSQL receives it. Subclasses define the element type."""

    __slots__ = ()
    element: str

    @classmethod
    def of(cls, elements: Sequence[bytes], *, has_nulls: bool = False) -> BinaryArray:
        """Builds the array from elements that are already prefixed with their sizes."""
        oid = psycopg.adapters.types[cls.element].oid
        dimensions = (1, has_nulls, oid, len(elements), 1) if elements else (0, 0, oid, 0, 0)
        header = _HEADER.pack(*dimensions) if elements else _HEADER.pack(*dimensions)[:12]
        return cls(header + b"".join(elements))


class UuidArray(BinaryArray):
    """A `uuid[]`."""

    __slots__ = ()
    element = "uuid"


class TimeArray(BinaryArray):
    """`timestamptz[]`."""

    __slots__ = ()
    element = "timestamptz"


class TextArray(BinaryArray):
    """`text[]`."""

    __slots__ = ()
    element = "text"


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> Buffer:
        """Returns the bytes unchanged: the value is already encoded."""
        return bytes(obj)


for _array in (UuidArray, TimeArray, TextArray):
    _oid = psycopg.adapters.types[_array.element].array_oid
    psycopg.adapters.register_dumper(_array, type(f"{_array.__name__}Dumper", (_ArrayDumper,), {"oid": _oid}))


def uuid_array(values: Iterable[UUID | None]) -> BinaryArray:
    """Encodes a `uuid[]`."""
    elements = [_NULL if value is None else _UUID_SIZE + value.bytes for value in values]
    return UuidArray.of(elements, has_nulls=_NULL in elements)


class Uuids(UserDefinedType[Iterable[UUID]]):
    """The type of a parameter `uuid[]` in a statement of SQLAlchemy, encoded by `uuid_array`."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Returns PostgreSQL's name of the type."""
        return "uuid[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Iterable[UUID] | None], BinaryArray]:
        """Returns the encoder."""
        return lambda ids: uuid_array(ids or ())


def id_array(values: Iterable[bytes]) -> BinaryArray:
    """Encodes a `uuid[]` from ids that are already bytes."""
    return UuidArray.of([_UUID_SIZE + value for value in values])


def time_array(values: Iterable[datetime | None]) -> BinaryArray:
    """Encodes a `timestamptz[]`. Rows of one pass usually share a due time, so equal neighbours are encoded once."""
    made: dict[datetime | None, bytes] = {None: _NULL}
    elements: list[bytes] = []
    last, element = None, _NULL
    for value in values:
        if value is not last and value != last:  # hashing a datetime is slow
            last, element = value, made.get(value) or made.setdefault(value, _time(value))
        elements.append(element)
    return TimeArray.of(elements, has_nulls=_NULL in elements)


def text_array(values: Iterable[str]) -> BinaryArray:
    """Encodes a `text[]`. Equal values are encoded once."""
    made: dict[str, bytes] = {}
    return TextArray.of([made.get(value) or made.setdefault(value, _text(value)) for value in values])


def array(values: Iterable[UUID | date | int | bool | None]) -> str:
    """Formats `values` as array text for `CAST(:name AS type[])`. Not for text values: nothing is quoted."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def unless_all_equal(values: list[Any], default: Any) -> list[Any]:
    """Returns `values`, or nothing when all equal `default`: `unnest` pads with NULL, which the statement treats
    as default.
    """
    return [] if values.count(default) == len(values) else values


def _time(value: datetime | None) -> bytes:
    """Encodes microseconds since 2000 in eight bytes."""
    return _NULL if value is None else _TIME.pack(8, (value - _EPOCH) // _MICROSECOND)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">i", len(encoded)) + encoded
