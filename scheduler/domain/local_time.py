"""Reads times and time spans as people write them, and formats both for agents and people."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
_NOW = {"en": "Now: {day}, {time} ({zone}, UTC{offset})", "zh": "现在:{day},{time} ({zone},UTC{offset})"}
_WRITTEN = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPELLED = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def now_line(now: datetime, zone: str, language: str) -> str:
    """Formats date, time, weekday and zone in one line for an agent."""
    local = now.astimezone(zone_info(zone))
    offset = local.strftime("%z")
    return _NOW.get(language, _NOW["en"]).format(
        day=_WEEKDAYS.get(language, _WEEKDAYS["en"])[local.weekday()],
        time=local.strftime("%Y-%m-%d %H:%M"),
        zone=zone,
        offset=f"{offset[:3]}:{offset[3:]}",
    )


def in_zone(text: str, zone: str) -> str:
    """Formats an ISO 8601 time with its offset, assuming `zone` when it has none. Returns other text unchanged."""
    try:
        moment = read_iso(text)
    except (ValueError, OverflowError):
        return text
    return text if moment.tzinfo else moment.replace(tzinfo=zone_info(zone)).isoformat()


def shown_locally(moment: datetime | None, zone: str) -> str | None:
    """Formats a time for the zone, with weekday and offset."""
    if moment is None:
        return None
    local = moment.astimezone(zone_info(zone))
    return f"{_WEEKDAYS['en'][local.weekday()]} {local.isoformat(timespec='seconds')}"


def zone_info(name: str) -> ZoneInfo:
    """Returns the zone; UTC for a name unknown to this machine."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(UTC.tzname(None) or "UTC")


def read_iso(text: str) -> datetime:
    """Parses a date and time of ISO 8601 or RFC 3339, whose `Z` and `T` may be lower case (RFC 3339 section 5.6).

    Without an offset the result is naive; a date alone means midnight. Raises ValueError.
    """
    return datetime.fromisoformat(f"{text[:-1]}Z" if text.endswith("z") else text)


def parse_duration(text: str) -> float | None:
    """Parses a duration with its unit into seconds; None for anything else, a bare number included."""
    match = _WRITTEN.fullmatch(text.strip())
    return None if match is None else float(match[1]) * _SECONDS[match[2]]


def spell_duration(seconds: float) -> str:
    """Spells whole seconds by their two largest units, such as `2 h 5 min`."""
    left, parts = round(abs(seconds)), []
    for length, unit in _SPELLED:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
    return ("-" if seconds < 0 else "") + (" ".join(parts[:2]) or "0 s")
