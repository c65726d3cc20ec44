"""Reads stated arrival rates, such as `night-watch/push=20/h`."""

from __future__ import annotations

import re
from typing import Any

from scheduler.domain.errors import InvalidField

HOURS = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0}
_RATE = re.compile(r"(?P<agent>[^/]+)/(?P<trigger>.+)=(?P<count>\d+(?:\.\d+)?)/(?P<unit>[smhd])")


def parse_rate(text: str) -> dict[str, Any]:
    """Returns a rate as the API takes it. Raises InvalidField for another form."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise InvalidField(
            f"{text!r} is not of the form AGENT/TRIGGER=RATE, such as night-watch/push=20/h.", field="rates"
        )
    per_hour = float(found["count"]) / HOURS[found["unit"]]
    return {"agent": found["agent"], "trigger": found["trigger"], "per_hour": per_hour}
