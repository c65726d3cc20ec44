"""The page of alerts: what is in trouble now, what was, and what is muted."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.schemas.alerts import MuteIn
from api.services import services
from api.web.base import done, page_blueprint, paged, render
from api.web.forms.validation import filled, shaped
from scheduler.domain.ids import parse_id

MOST_OPEN = 200

alerts = page_blueprint("alerts")


@alerts.get("/alerts")
@needs(Level.READ)
def show() -> Response:
    """Shows open alerts, closed ones and mutes."""
    who, parts = caller(), services().alerts
    return render(
        "alerts.html",
        open=parts.list(who.tenant_id, is_operator=who.is_operator, is_open=True, limit=MOST_OPEN),
        closed=paged(lambda **span: parts.list(who.tenant_id, is_operator=who.is_operator, is_open=False, **span)),
        mutes=parts.list_mutes(who.tenant_id, limit=MOST_OPEN),
    )


@alerts.post("/alerts/mutes")
@needs(Level.WRITE)
def mute() -> Response:
    """Mutes the alerts of a rule and a subject."""
    who = caller()
    body = shaped(MuteIn, filled("rule", "subject_id", "until", "note"))
    services().alerts.mute(who.tenant_id, **body.model_dump(), actor=who.actor)
    return done("/alerts", "Muted. The alert stays open, but nobody is notified.")


@alerts.post("/alerts/mutes/<mute_id>/end")
@needs(Level.WRITE)
def unmute(mute_id: str) -> Response:
    """Ends a mute."""
    services().alerts.unmute(caller().tenant_id, parse_id(mute_id, "mute"), actor=caller().actor)
    return done("/alerts", "No longer muted.")
