"""Reads and writes JSON exactly, and compares, measures and merges values as JSON, not as Python objects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Self

PLAIN_CHARS = 16
"""A number with at most this many characters and no exponent is represented exactly by a double."""
MAX_INTEGER_CHARS = 4_000
"""The longest text that Python converts to an integer."""


class WrittenFloat(float):
    """A double written differently from Python's form: `10.00`, `1e2`, `-0`."""

    text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Parses a number in JSON text."""
        number = cls(text)
        number.text = text
        return number


class WrittenDecimal(Decimal):
    """A number that is not a double, with its original text: `1e400`."""

    text: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Parses a number in JSON text. Raises ValueError when it is out of range."""
        try:
            number = cls(text)
        except InvalidOperation:
            raise ValueError(f"the number {text[:20]} is too large") from None
        number.text = text
        return number


class DoubledObject(dict[str, Any]):
    """An object with a duplicate key, whose last value counts; `pairs` are all members."""

    pairs: list[tuple[str, Any]]


def read_json(text: str, *, lenient: bool = False) -> tuple[Any, str | None]:
    """Parses JSON text (RFC 8259). The last of duplicate keys counts.

    A number that a double cannot represent becomes a Decimal. Numbers and duplicate keys keep their original text
    for `write_json`. `lenient` accepts line ends within strings, NaN and Infinity, as in handmade JSON. Raises
    ValueError and RecursionError.
    """
    doubled: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        if not doubled:
            names = [name for name, _ in pairs]
            doubled.append(next(name for name in found if names.count(name) > 1))
        whole = DoubledObject(found)
        whole.pairs = pairs
        return whole

    value = json.loads(
        text,
        strict=not lenient,
        object_pairs_hook=members,
        parse_float=_fraction,
        parse_int=_integer,
        parse_constant=float if lenient else _refuse,
    )
    return value, doubled[0] if doubled else None


def write_json(value: object, *, ascii_only: bool = True, sort_keys: bool = True) -> str:
    """Writes JSON with sorted keys, and with numbers and duplicate keys as they were read. Raises RecursionError."""
    return "".join(_pieces(value, json.JSONEncoder(ensure_ascii=ascii_only).encode, sort_keys))


def check_storable(value: object) -> None:
    """Raises ValueError or TypeError for what PostgreSQL cannot store as JSON: U+0000, lone surrogates, other
    types.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode()
    if r"\u0000" in text.replace(r"\\", ""):
        raise ValueError("a text contains U+0000")


def json_equal(left: object, right: object, step: Callable[[], None] | None = None) -> bool:
    """Whether two values are equal as JSON: 1 equals 1.0, true does not equal 1, key order does not matter.

    A double stands for the shortest decimal that identifies it: 0.1 equals 0.10, but not 0.1000000000000000055. It
    is not recursive, so deep nesting does not fail. `step` is called for each pair and may raise to stop.
    """
    pending = [(left, right)]
    while pending:
        if step is not None:
            step()
        one, two = pending.pop()
        if isinstance(one, dict) and isinstance(two, dict):
            if one.keys() != two.keys():
                return False
            pending.extend((value, two[key]) for key, value in one.items())
        elif isinstance(one, list) and isinstance(two, list):
            if len(one) != len(two):
                return False
            pending.extend(zip(one, two, strict=True))
        elif isinstance(one, bool) != isinstance(two, bool) or not _same(one, two):
            return False
    return True


def matches(value: object, match_value: object) -> bool:
    """Whether a value equals `match_value` as JSON, or is a scalar whose JSON text equals it."""
    if json_equal(value, match_value):
        return True
    if not isinstance(match_value, str) or isinstance(value, str | list | dict):
        return False
    try:
        return json_equal(value, read_json(match_value)[0])
    except (ValueError, RecursionError):
        return False


def heavier_than(limit: int, values: list[Any]) -> bool:
    """Whether the values hold more than `limit` characters, counting one per node and shared parts each time."""
    weight, pending = 0, list(values)
    while pending and weight <= limit:
        value = pending.pop()
        weight += 1
        if isinstance(value, str):
            weight += len(value)
        elif isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            weight += sum(map(len, value))
            pending.extend(value.values())
    return weight > limit


def deeper_than(limit: int, value: object) -> bool:
    """Whether lists and objects in `value` are nested deeper than `limit`: a scalar has depth 0, `[]` has 1."""
    layer = [value] if isinstance(value, dict | list) else []
    depth = 0
    while layer and depth <= limit:
        depth += 1
        parts = (part for each in layer for part in _parts(each))
        layer = [part for part in parts if isinstance(part, dict | list)]
    return depth > limit


def merge_patch(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Merge Patch (RFC 7396): null removes a member, objects merge, anything else replaces.

    In an object `headers`, names that differ in case alone are one (RFC 9110 section 5.1).
    """
    merged = dict(target)
    for key, value in patch.items():
        if key == "headers" and isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge_headers(merged[key], value)
            continue
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            held = merged.get(key)
            merged[key] = merge_patch(held if isinstance(held, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def merge_headers(held: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, Any]:
    """Headers with those of `patch` in place of those of the same names, whatever their case; null removes one."""
    named = {name.lower() for name in patch}
    kept = {name: value for name, value in held.items() if name.lower() not in named}
    return kept | {name: value for name, value in patch.items() if value is not None}


def _same(one: object, two: object) -> bool:
    if type(one) is type(two) or not (isinstance(one, int | float | Decimal)):
        return one == two
    return _exact(one) == _exact(two)


def _exact(number: object) -> object:
    return Decimal(repr(number)) if isinstance(number, float) else number


def _parts(whole: Any) -> Iterable[Any]:
    """Returns the values in a list or an object, including those of duplicate keys."""
    if isinstance(whole, DoubledObject):
        return [part for _, part in whole.pairs]
    return whole.values() if isinstance(whole, dict) else whole


def _pieces(value: object, encode: Callable[[object], str], sort_keys: bool) -> Iterator[str]:
    match value:
        case dict():
            pairs = value.pairs if isinstance(value, DoubledObject) else value.items()
            opening = "{"
            for name, part in sorted(pairs, key=lambda pair: pair[0]) if sort_keys else pairs:
                yield f"{opening}{encode(name)}: "
                yield from _pieces(part, encode, sort_keys)
                opening = ", "
            yield "}" if opening == ", " else "{}"
        case list():
            opening = "["
            for part in value:
                yield opening
                yield from _pieces(part, encode, sort_keys)
                opening = ", "
            yield "]" if opening == ", " else "[]"
        case WrittenFloat() | WrittenDecimal():
            yield value.text
        case Decimal():
            yield str(value)
        case _:
            yield encode(value)


def _fraction(text: str) -> float | Decimal:
    number = float(text)
    if repr(number) == text:
        return number
    is_double = len(text) <= PLAIN_CHARS and text.lstrip("-").replace(".", "").isdecimal()
    if is_double or (math.isfinite(number) and Decimal(repr(number)) == WrittenDecimal.of(text)):
        return WrittenFloat.of(text)
    return WrittenDecimal.of(text)


def _integer(text: str) -> int | float | Decimal:
    if text == "-0":
        return WrittenFloat.of(text)
    return int(text) if len(text) <= MAX_INTEGER_CHARS else WrittenDecimal.of(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
