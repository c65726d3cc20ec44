"""How templates show times, durations and sizes. What is not HTML of ours stays text: Jinja escapes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup

from scheduler.triggers.zones import load_zone

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
KIB = 1024


def install(app: Flask) -> None:
    """Give `app`'s templates these filters."""
    app.jinja_env.filters.update(when=when, clock=clock, span=span, size=size, pretty=pretty, short=short)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def when(moment: datetime | None, zone: str = "UTC") -> Markup:
    """Date and time in `zone` as a `<time>` that carries the exact instant; a dash for None."""
    if moment is None:
        return Markup('<span class="none">–</span>')
    local = moment.astimezone(_zone(zone))
    exact = moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(exact, local.strftime("%d %b %H:%M:%S"))


def clock(moment: datetime, zone: str = "UTC") -> str:
    """The time of day in `zone`, to the second."""
    return moment.astimezone(_zone(zone)).strftime("%H:%M:%S")


def span(seconds: float | None) -> str:
    """A duration by its two greatest units: `2 h 5 min`, `45 s`, `0.12 s`; a dash for None."""
    if seconds is None:
        return "–"
    if abs(seconds) < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    left, parts = round(abs(seconds)), []
    for length, unit in UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
    return ("-" if seconds < 0 else "") + " ".join(parts[:2])


def size(count: int | None) -> str:
    """So many bytes."""
    if count is None:
        return "–"
    return f"{count} B" if count < KIB else f"{count / KIB:.1f} KiB"


def pretty(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def short(value: object) -> str:
    """The last characters of an id: those that differ."""
    return str(value)[-8:]


def _zone(name: str) -> ZoneInfo:
    zone: ZoneInfo = load_zone(name)
    return zone
