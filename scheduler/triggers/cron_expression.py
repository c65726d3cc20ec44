"""Parses cron expressions strictly: refuses anything ambiguous and says what to write instead.

The dialect is that of crontab(5) by Paul Vixie; `?`, `L`, `W`, `#` and a leading seconds field come from Quartz.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, NoReturn

from scheduler.domain.errors import InvalidField
from scheduler.triggers.cron_days import LAST, DayRule

_MAX_LENGTH = 1000
_NICKNAMES = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_MONTH_NAMES = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAY_NAMES = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Mapping[str, int]


_SECOND = _Field("second", 0, 59, {})
_MINUTE = _Field("minute", 0, 59, {})
_HOUR = _Field("hour", 0, 23, {})
_DAY = _Field("day of month", 1, 31, {})
_MONTH = _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTH_NAMES, start=1)})
_WEEKDAY = _Field("day of week", 0, 7, {name: number for number, name in enumerate(_WEEKDAY_NAMES)})

_TERM = re.compile(r"(\*|[0-9]+|[A-Z]+)(?:-([0-9]+|[A-Z]+))?(?:/([0-9]+))?")
_DAY_FROM_END = re.compile(r"L(?:-([0-9]{1,2}))?(W?)")
_NEAR_DAY = re.compile(r"([0-9]{1,2})W")
_NTH_WEEKDAY = re.compile(r"([0-7]|[A-Z]{3})(?:#([1-5])|L)")


@dataclass(frozen=True, slots=True)
class CronExpression:
    """A parsed expression, independent of spelling."""

    text: str
    """The expression in upper case, with single spaces and nicknames expanded."""
    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    day_rule: DayRule
    follows_real_time: bool
    """Whether it repeats through the day instead of naming fixed times, which clock changes treat differently."""


def parse_expression(expr: str, seconds: Literal["first"] | None) -> CronExpression:
    """Parses 5 fields or a nickname; 6 fields, the second first, when `seconds` says so.

    Raises InvalidField (`expr`) naming the field, the value and the remedy, also for what never fires.
    """
    texts = _split(expr, seconds)
    second, minute, hour, day, month, weekday = texts
    days, near_days = _month_days(day)
    weekdays, nth_weekdays = _weekdays(weekday)
    rule = DayRule(
        months=_values(_MONTH, month),
        days=days,
        near_days=near_days,
        weekdays=weekdays,
        nth_weekdays=nth_weekdays,
        both=day[0] in "*?" or weekday[0] in "*?",
    )
    second_values = _values(_SECOND, second)
    if rule.first(date(2000, 1, 1)) is None:
        raise _refusal(f"'{expr}' never fires: no month named in it has such a day. Change day or month.")
    return CronExpression(
        text=" ".join(texts if seconds else texts[1:]),
        seconds=second_values,
        minutes=_values(_MINUTE, minute),
        hours=_values(_HOUR, hour),
        day_rule=rule,
        follows_real_time=minute[0] == "*" or hour[0] == "*" or len(second_values) > 1,
    )


def _split(expr: str, seconds: Literal["first"] | None) -> list[str]:
    """Returns the six fields in upper case, with `0` for a missing second."""
    if len(expr) > _MAX_LENGTH:
        raise _refusal(f"the expression has {len(expr)} characters; {_MAX_LENGTH} are allowed.")
    for character in expr:
        if not (character.isascii() and (character.isprintable() or character == "\t")):
            raise _refusal(f"{character!r} is not allowed; write fields of ASCII characters between spaces.")
    texts = expr.upper().split()
    if texts and texts[0].startswith("@"):
        return ["0", *_nickname(expr, " ".join(texts)).split()]
    wanted = 6 if seconds else 5
    if len(texts) != wanted:
        raise _refusal(_wrong_count(expr, len(texts), wanted))
    return texts if seconds else ["0", *texts]


def _nickname(expr: str, text: str) -> str:
    if text not in _NICKNAMES:
        known = ", ".join(_NICKNAMES).lower()
        raise _refusal(f"'{expr}' is not a known nickname; use one of {known}, or five fields.")
    return _NICKNAMES[text]


def _wrong_count(expr: str, count: int, wanted: int) -> str:
    fields = "minute, hour, day of month, month, day of week"
    has = "1 field" if count == 1 else f"{count} fields"
    if wanted == 5:
        hint = " For a leading field of seconds set seconds to 'first'." if count == 6 else ""
        return f"'{expr}' has {has}; write 5: {fields}.{hint}"
    hint = " Without seconds leave out the setting seconds." if count == 5 else ""
    return f"'{expr}' has {has}; with seconds 'first' write 6: second, {fields}.{hint}"


def _values(field: _Field, text: str) -> frozenset[int]:
    return frozenset().union(*(_term(field, term) for term in text.split(",")))


def _term(field: _Field, term: str) -> range:
    """Parses one `*`, `a`, `a-b` or any of them with `/step`; `a/step` runs to the end of the field."""
    parts = _TERM.fullmatch(term)
    if parts is None or (parts[1] == "*" and parts[2]):
        _refuse_term(field, term)
    start, end, step = parts.groups()
    if start == "*":
        low, high = field.low, 6 if field is _WEEKDAY else field.high
    else:
        low = _number(field, start, term)
        high = _number(field, end, term) if end else (field.high if step else low)
    by = _step(field, step, term) if step else 1
    if low > high:
        raise _refusal(f"{field.name}: the range '{term}' runs backwards; {_forwards(field, low, high, by)}.")
    return range(low, high + 1, by)


def _number(field: _Field, text: str, term: str) -> int:
    if text.isdigit():
        value = int(text)
    elif text in field.names:
        value = field.names[text]
    elif text[:3] in field.names:
        raise _refusal(f"{field.name}: '{text}' is not a known name; write {text[:3]}.")
    else:
        _refuse_term(field, term)
    if not field.low <= value <= field.high:
        raise _refusal(f"{field.name}: {value} in '{term}' is not from {field.low} to {field.high}.")
    return value


def _step(field: _Field, text: str, term: str) -> int:
    step = int(text)
    if not 1 <= step <= field.high:
        raise _refusal(
            f"{field.name}: the step {step} in '{term}' is not from 1 to {field.high};"
            " a step counts within its field. For a longer period use an interval trigger."
        )
    return step


def _forwards(field: _Field, low: int, high: int, step: int) -> str:
    """Suggests what to write for a range that wraps around the end of its field."""
    if field is _WEEKDAY and high == 0:
        return f"Sunday is also 7, so write {low}-7" + (f"/{step}" if step > 1 else "")
    end = 6 if field is _WEEKDAY else field.high
    if step > 1:
        size = end - field.low + 1
        wrapped = range(low, high + size + 1, step)
        return "write " + ",".join(str((value - field.low) % size + field.low) for value in wrapped)
    return "write " + ",".join(f"{a}-{b}" if a < b else f"{a}" for a, b in ((low, end), (field.low, high)))


def _month_days(text: str) -> tuple[frozenset[int], frozenset[int]]:
    """Returns the days of the month, and those with W, as in DayRule."""
    if text == "?":
        text = "*"
    days: set[int] = set()
    near_days: set[int] = set()
    for term in text.split(","):
        if from_end := _DAY_FROM_END.fullmatch(term):
            back = int(from_end[1] or 0)
            if back > 30:
                raise _refusal(f"day of month: '{term}' counts back more than 30 days; write L-0 to L-30.")
            (near_days if from_end[2] else days).add(-back)
        elif near := _NEAR_DAY.fullmatch(term):
            if term != text:
                raise _refusal(f"day of month: '{term}' cannot be part of a list; W takes a single day.")
            near_days.add(_number(_DAY, near[1], term))
        else:
            days.update(_term(_DAY, term))
    return frozenset(days), frozenset(near_days)


def _weekdays(text: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    """Returns the weekdays, 0 for Sunday, and those with an nth or last of the month."""
    if text == "?":
        text = "*"
    weekdays: set[int] = set()
    nth_weekdays: set[tuple[int, int]] = set()
    for term in text.split(","):
        if nth := _NTH_WEEKDAY.fullmatch(term):
            weekday = _number(_WEEKDAY, nth[1], term) % 7
            nth_weekdays.add((weekday, int(nth[2]) if nth[2] else LAST))
        else:
            weekdays.update(value % 7 for value in _term(_WEEKDAY, term))
    return frozenset(weekdays), frozenset(nth_weekdays)


def _refuse_term(field: _Field, term: str) -> NoReturn:
    if not term:
        raise _refusal(
            f"{field.name}: there is nothing before or after a comma; write a value there or leave it out."
        )
    forms = "*, a number, a-b, */n, a-b/n, or a list of these"
    if field is _DAY:
        forms += ", L, L-n, LW, nW or ?"
    elif field is _WEEKDAY:
        forms += ", day#n, dayL or ?"
    names = f", names {next(iter(field.names))} and so on" if field.names else ""
    span = f"numbers are {field.low} to {field.high}{names}"
    raise _refusal(f"{field.name}: '{term}' is not understood; write {forms} ({span}).")


def _refusal(message: str) -> InvalidField:
    return InvalidField(f"cron expression: {message}", field="expr")
