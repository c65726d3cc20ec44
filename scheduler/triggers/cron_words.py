"""Describes a cron expression in words, if these are exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cron_descriptor import Options, get_description  # type: ignore[import-untyped]

from scheduler.domain.errors import ReveilleError
from scheduler.triggers.cron_expression import parse_expression

SIZES = (60, 60, 24, 0, 12, 0)
"""The number of values of second, minute, hour and month. Days have no even step, as each month starts over."""


def cron_words(config: Mapping[str, Any]) -> str:
    """Returns `At 09:00, Monday through Friday`; empty for an invalid expression, or one the library describes
    wrongly.
    """
    try:
        text = parse_expression(str(config.get("expr", "")), config.get("seconds")).text
    except (ReveilleError, TypeError):
        return ""
    fields = text.split() if config.get("seconds") else ["0", *text.split()]
    if not all(_is_even(field, size) for field, size in zip(fields, SIZES, strict=True)) or _is_odd_day(fields):
        return ""
    options = Options()
    options.use_24hour_time_format = True
    try:
        return str(get_description(text, options))
    except Exception:  # noqa: BLE001  # words are a help: without them the expression stands alone
        return ""


def _is_even(field: str, size: int) -> bool:
    """Whether each step of the field has the same length, also across the end of the hour, day or year."""
    for term in field.split(","):
        base, slash, step = term.partition("/")
        if slash and (not size or ("-" not in base and size % int(step))):
            return False
    return True


def _is_odd_day(fields: list[str]) -> bool:
    """Whether it has several of `#`, `L` and `W`, or one beside others, which the library cannot describe."""
    return any("," in field and any(sign in field for sign in "#LW") for field in (fields[3], fields[5]))
