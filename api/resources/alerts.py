"""Alerts: what is in trouble, since when, and what to do; mutes, and the badge."""

from __future__ import annotations

from html import escape

from flask import Blueprint, Response

from api.addresses import base_url
from api.auth import Level, caller, needs
from api.resources.base import CHANGES, EMPTY, answer, blueprint, no_content, one_more, page
from api.schemas.alerts import AlertPage, AlertsQuery, BadgeOut, MuteIn, MuteOut, MutePage, MutePath
from api.schemas.base import Page
from api.services import services
from scheduler.domain.text import counted

GREEN, RED, GREY = "#18794e", "#b42318", "#5b6470"
CHARACTER_WIDTH = 7

alerts = blueprint("alerts", "Current problems, since when, and what to do.")
mutes = blueprint("mutes", "Alerts that nobody is notified of.")
badges = Blueprint("badges", __name__)


@alerts.get("/alerts", responses={200: AlertPage})
@needs(Level.READ)
def show_alerts(query: AlertsQuery) -> Response:
    """List alerts, newest first. An operator also sees those of the service."""
    who = caller()
    rows = services().alerts.list(
        who.tenant_id, is_operator=who.is_operator, is_open=query.open, **one_more(query)
    )
    return page(AlertPage, rows, query)


@mutes.post("/alerts/mutes", responses={201: MuteOut, **CHANGES})
@needs(Level.WRITE)
def mute_alerts(body: MuteIn) -> Response:
    """Mute a rule, a subject, or one rule of a subject: alerts still open, but no target is told."""
    who = caller()
    return answer(
        MuteOut.model_validate(services().alerts.mute(who.tenant_id, **body.model_dump(), actor=who.actor)), 201
    )


@mutes.get("/alerts/mutes", responses={200: MutePage})
@needs(Level.READ)
def show_mutes(query: Page) -> Response:
    """List mutes that have not ended, newest first."""
    return page(MutePage, services().alerts.list_mutes(caller().tenant_id, **one_more(query)), query)


@mutes.delete("/alerts/mutes/<mute_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.WRITE)
def unmute_alerts(path: MutePath) -> Response:
    """End a mute."""
    services().alerts.unmute(caller().tenant_id, path.mute_id, actor=caller().actor)
    return no_content()


@alerts.post("/alerts/badge", responses={201: BadgeOut, **CHANGES})
@needs(Level.ADMIN)
def make_badge() -> Response:
    """Make the address of the tenant's badge, shown in this response only; an earlier one stops working."""
    token = services().alerts.new_badge(caller().tenant_id, actor=caller().actor)
    return answer(BadgeOut(url=f"{base_url()}/badge/{token}.svg"), 201)


@alerts.delete("/alerts/badge", responses={204: EMPTY, **CHANGES})
@needs(Level.ADMIN)
def end_badge() -> Response:
    """Delete the tenant's badge: its address stops working."""
    services().alerts.end_badge(caller().tenant_id, actor=caller().actor)
    return no_content()


@badges.get("/badge/<token>.svg")
def show_badge(token: str) -> Response:
    """A picture of whether the tenant has open alerts. Whoever knows the address sees it."""
    state = services().alerts.badge(token)
    if state.is_paused:
        said, colour = "paused", GREY
    elif state.open_alerts:
        said, colour = counted(state.open_alerts, "alert"), RED
    else:
        said, colour = "all quiet", GREEN
    response = Response(_svg("Reveille", said, colour), content_type="image/svg+xml")
    response.headers["Cache-Control"] = "no-cache"
    return response


def _svg(label: str, said: str, colour: str) -> str:
    left, right = (len(text) * CHARACTER_WIDTH + 12 for text in (label, said))
    alt = escape(f"{label}: {said}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{alt}">'
        f'<title>{alt}</title><rect width="{left}" height="20" fill="#2b3440"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        f'<g fill="#fff" font-family="Verdana, sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2:g}" y="14">{escape(said)}</text></g></svg>'
    )
