"""The navigation: its pages in the order in which an operator needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from api.auth import Caller, Level
from api.services import services
from scheduler.alerts.service import count_open
from scheduler.domain.errors import DatabaseUnavailable, NotFound
from scheduler.storage.pauses import Pause, read_service_pause, read_tenant_pause
from scheduler.storage.read_models.overviews import MOST_COUNTED, count_awaiting, count_dead


@dataclass(frozen=True, slots=True)
class Section:
    """A link in the navigation, shown to callers of at least `level`."""

    name: str
    path: str
    level: Level = Level.READ


SECTIONS = (
    Section("Now", "/"),
    Section("Insights", "/insights"),
    Section("Agents", "/agents"),
    Section("Triggers", "/triggers"),
    Section("Invocations", "/invocations"),
    Section("Sessions", "/sessions"),
    Section("Deliveries", "/deliveries"),
    Section("Failed", "/dead"),
    Section("Alerts", "/alerts"),
    Section("Approvals", "/approvals"),
    Section("Audit", "/audit"),
    Section("Settings", "/settings"),
)


COUNTED: dict[str, Callable[[Connection, UUID], int]] = {
    "/dead": count_dead,
    "/approvals": count_awaiting,
}
"""Sections that need a person's attention, and how to count it."""


def sections(caller: Caller) -> list[Section]:
    """Returns what this caller may see."""
    return [section for section in SECTIONS if caller.level >= section.level]


@dataclass(frozen=True, slots=True)
class Frame:
    """The figures on every page: what needs attention, by the path of its section, and what is paused."""

    counts: Mapping[str, str]
    pauses: Mapping[str, Pause]
    """`service` and `tenant`, those that are paused."""


def frame_of(caller: Caller) -> Frame:
    """Reads the figures on every page of this caller; none while the database is unavailable."""
    try:
        with services().db.begin() as conn:
            found = {path: count(conn, caller.tenant_id) for path, count in COUNTED.items()}
            found["/alerts"] = count_open(conn, caller.tenant_id, is_operator=caller.is_operator)
            pauses = {"service": read_service_pause(conn), "tenant": read_tenant_pause(conn, caller.tenant_id)}
    except (DatabaseUnavailable, NotFound):
        return Frame({}, {})
    return Frame(
        {path: f"{count}+" if count >= MOST_COUNTED else str(count) for path, count in found.items() if count},
        {name: pause for name, pause in pauses.items() if pause.is_paused},
    )
