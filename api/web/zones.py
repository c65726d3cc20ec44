"""The zone in which pages show times: the chosen one, else the browser's, else the tenant's."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from flask import g, request

from scheduler.domain.errors import InvalidField
from scheduler.triggers.zones import load_zone

CHOSEN = "reveille_zone"
"""The cookie of the chosen zone."""
OF_BROWSER = "reveille_browser_zone"
"""The cookie in which a script stores the browser's zone."""
UTC = "UTC"


def shown_zone() -> str:
    """Returns the zone of the request's page."""
    named = (request.cookies.get(CHOSEN, ""), request.cookies.get(OF_BROWSER, ""), tenant_zone())
    return next((name for name in named if is_zone(name)), UTC)


def tenant_zone() -> str:
    """Returns the zone of the viewed tenant; UTC before sign-in."""
    signed_in = g.get("signed_in")
    return str(signed_in.timezone) if signed_in else UTC


def choices(of_trigger: str | None) -> list[tuple[str, str]]:
    """Returns the zones to switch to with their labels, without the current one."""
    named = {
        UTC: "UTC",
        tenant_zone(): "tenant",
        request.cookies.get(OF_BROWSER, ""): "your browser",
        of_trigger or "": "the trigger",
    }
    shown = shown_zone()
    return [
        (zone, zone if zone == UTC else f"{zone} ({what})")
        for zone, what in named.items()
        if zone != shown and is_zone(zone)
    ]


def is_zone(name: str) -> bool:
    """Whether there is a zone of that name."""
    try:
        load_zone(name)
    except InvalidField:
        return False
    return True


@cache
def zone_names() -> tuple[str, ...]:
    """Returns the suggestions of an input: the zones by city, and UTC."""
    cities = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return (UTC, *sorted(cities))
