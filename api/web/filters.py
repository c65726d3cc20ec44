"""Template filters for times, durations and sizes. Jinja escapes everything but our own HTML."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup

from api.web.zones import zone_names
from scheduler.domain.clock import Clock
from scheduler.domain.context.safe_text import pretty_if_json
from scheduler.domain.local_time import spell_duration
from scheduler.domain.text import ENDS, STATE_WORDS
from scheduler.triggers.registry import in_words
from scheduler.triggers.zones import load_zone

AWAY = ((31_557_600, "y"), (2_629_800, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
KIB = 1024


def install(app: Flask, clock_of: Clock) -> None:
    """Installs these filters in `app`'s templates; `clock_of` returns the current time."""

    def when(moment: datetime | str | None, zone: str = "UTC") -> Markup:
        return time_tag(moment, zone, clock_of.now())

    filters = {"when": when, "clock": clock, "span": span, "size": size, "pretty": pretty, "short": short}
    app.jinja_env.filters.update(filters, is_local=is_local, indented=pretty_if_json, in_rows=in_rows)
    app.jinja_env.globals.update(zone_names=zone_names, in_words=in_words)
    app.jinja_env.globals.update(ends_of_triggers=ENDS, words_of_states=STATE_WORDS)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def time_tag(moment: datetime | str | None, zone: str, now: datetime) -> Markup:
    """Formats `in 3 min · 09:00` as a `<time>` with the exact instant, which it shows when it has the focus; a dash
    for None.

    Text is parsed as ISO 8601.
    """
    if moment is None:
        return Markup('<span class="none">–</span>')
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    local = moment.astimezone(_zone(zone))
    exact = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup(
        '<time tabindex="0" datetime="{}" title="{}"><span class="ago">{}</span> · <span>{}</span></time>'
    ).format(  # escapes what it formats
        exact,
        local.strftime("%a %d %b %Y %H:%M:%S %Z"),
        relative((moment - now).total_seconds()),
        _shown(local, now.astimezone(local.tzinfo)),
    )


def in_rows(html: Markup) -> Markup:
    """Takes times in a table's rows out of the tab order: they show the exact time when their row has the focus."""
    return html.replace('<time tabindex="0" ', Markup("<time "))  # a plain text would be escaped


def is_local(moment: str, zone: str) -> bool:
    """Whether ISO 8601 text has the offset that is valid in `zone` then."""
    given = datetime.fromisoformat(moment)
    return given.astimezone(_zone(zone)).utcoffset() == given.utcoffset()


def relative(seconds: float) -> str:
    """Formats `in 3 min`, `5 d ago`, `now`, by the largest unit."""
    away = abs(seconds)
    if away < 1:
        return "now"
    length, unit = next(((length, unit) for length, unit in AWAY if away >= length), AWAY[-1])
    words = f"{int(away // length)} {unit}"
    return f"in {words}" if seconds > 0 else f"{words} ago"


def _shown(local: datetime, now: datetime) -> str:
    """Formats the time, with the day unless it is today, and with the year unless it is this one."""
    time = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    if local.date() == now.date():
        return time
    return f"{local.strftime('%d %b' if local.year == now.year else '%d %b %Y')} {time}"


def clock(moment: datetime, zone: str = "UTC") -> str:
    """Formats the time of day in `zone`, to the second."""
    return moment.astimezone(_zone(zone)).strftime("%H:%M:%S")


def span(seconds: float | None) -> str:
    """Formats a duration by its two largest units: `2 h 5 min`, `45 s`, `0.12 s`; a dash for None."""
    if seconds is None:
        return "–"
    if abs(seconds) < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    return spell_duration(seconds)


def size(count: int | None) -> str:
    """Formats a number of bytes."""
    if count is None:
        return "–"
    return f"{count} B" if count < KIB else f"{count / KIB:.1f} KiB"


def pretty(value: Any) -> str:
    """Formats a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def short(value: object) -> str:
    """Returns the last characters of an id, which are the distinctive ones."""
    return str(value)[-8:]


def _zone(name: str) -> ZoneInfo:
    zone: ZoneInfo = load_zone(name)
    return zone
