"""Which triggers a list leaves, as its address or a form says."""

from __future__ import annotations

from flask import request

from scheduler.domain.ids import parse_id
from scheduler.storage.trigger_lists import TriggerFilter
from scheduler.triggers.registry import LISTED

NAMES = ("agent_id", "type", "state", "q")
STATES = {"enabled": True, "paused": False}


def wanted_triggers() -> TriggerFilter:
    """The filter that the request asks for. Raises NotFound for an agent that is no id."""
    given = request.values
    kind = given.get("type")
    return TriggerFilter(
        agent_id=parse_id(given["agent_id"], "agent") if given.get("agent_id") else None,
        type=kind if kind in LISTED else None,
        is_enabled=STATES.get(given.get("state", "")),
        text=given.get("q", "").replace("\0", "").strip()[:200] or None,
    )


def filters() -> dict[str, str]:
    """The filters as links and forms repeat them."""
    return {name: request.values[name] for name in NAMES if request.values.get(name)}
