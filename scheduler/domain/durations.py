"""Reads and spells time spans: `90s`, `15m`, `2h`, `1d` as people write them, `2 h 5 min` as they read them."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPELLED = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


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
