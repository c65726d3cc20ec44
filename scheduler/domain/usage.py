"""Reads the usage that a run reports: tokens and cost. Invalid values are reported and not counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from scheduler.domain.llm import Spent

MAX_TOKENS = 10**12
MAX_COST = 10**9
DECIMALS = 12
"""How many decimal places of a cost are kept."""
TOKENS_IN = ("input_tokens", "prompt_tokens")
TOKENS_OUT = ("output_tokens", "completion_tokens")
COST = ("cost", "total_cost", "total_cost_usd", "total_price")
"""The names that APIs use for each, ours first."""
SHOWN = 60


def read_usage(given: object, *, texts: bool = False) -> tuple[Spent | None, str | None]:
    """Returns the usage in a `usage` object, and a note on what was not counted.

    With `texts` a number may be written as text, as some APIs do for prices. None means no usage.
    """
    if given is None:
        return None, None
    if not isinstance(given, Mapping):
        return None, f"usage is no object and was not counted: {_shown(given)}."
    wrong: list[str] = []
    found = [_read(given, names, limit, texts, wrong) for names, limit in _LIMITS]
    spent = Spent(int(found[0] or 0), int(found[1] or 0), found[2] or Decimal(0))
    note = f"Of usage was not counted: {'; '.join(wrong)}." if wrong else None
    return (spent if any(each is not None for each in found) else None), note


_LIMITS = ((TOKENS_IN, MAX_TOKENS), (TOKENS_OUT, MAX_TOKENS), (COST, MAX_COST))


def _read(
    given: Mapping[str, object], names: tuple[str, ...], limit: int, texts: bool, wrong: list[str]
) -> Decimal | None:
    name = next((each for each in names if given.get(each) is not None), None)
    if name is None:
        return None
    value = given[name]
    number = _number(value, texts=texts)
    if number is None or not 0 <= number <= limit or (names is not COST and number != int(number)):
        wrong.append(f"{name} {_shown(value)}")
        return None
    return round(number, DECIMALS)


def _number(value: object, *, texts: bool) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(str(value)) if math.isfinite(value) else None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if texts and isinstance(value, str):
        try:
            read = Decimal(value.strip())
        except InvalidOperation:
            return None
        return read if read.is_finite() else None
    return None


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "an array"
    text = "a number that is too large" if isinstance(value, int) and value > MAX_TOKENS else repr(value)
    if isinstance(value, Decimal):
        text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
