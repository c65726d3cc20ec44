"""Reads times as people write them and formats local times for agents."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
_NOW = {"en": "Now: {day}, {time} ({zone}, UTC{offset})", "zh": "现在:{day},{time} ({zone},UTC{offset})"}


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
