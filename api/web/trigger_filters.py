"""Reads the filters of a list of triggers from its address or form."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from api.web.list_filters import AGENT, FROM, TO, Filter, RequestFilters, choice, read_filters
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.triggers.registry import LISTED

STATES = {"enabled": True, "paused": False}
SEARCH = Filter("q", "Search", hint="Name, reason, focus or note.")
KIND = choice("type", "Kind", [str(kind) for kind in LISTED])
FILTERS = (
    SEARCH,
    AGENT,
    KIND,
    choice("state", "State", list(STATES)),
    replace(FROM, label="Last fired from"),
    replace(TO, label="Last fired to"),
)


def wanted_triggers(conn: Connection, tenant_id: UUID) -> tuple[RequestFilters, TriggerFilter]:
    """Returns the request's filters as given and as parsed."""
    asked = read_filters(conn, tenant_id, FILTERS)
    return asked, TriggerFilter(
        agent_id=asked.get("agent_id"),
        type=asked.get("type"),
        is_enabled=STATES.get(asked.get("state")),
        text=asked.get("q"),
        span=asked.span,
    )
