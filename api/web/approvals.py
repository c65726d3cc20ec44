"""The page of triggers that await approval."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.schemas.base import NoteIn
from api.schemas.triggers import ApproveIn
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.validation import filled, shaped
from api.web.list_filters import AGENT, read_filters
from api.web.trigger_filters import KIND, SEARCH
from scheduler.domain.ids import parse_id
from scheduler.manage.triggers import approvals as manage
from scheduler.storage.read_models.overviews import agent_names
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.storage.read_models.triggers import list_awaiting

FILTERS = (SEARCH, AGENT, KIND)

approvals = page_blueprint("approvals")


@approvals.get("/approvals")
@needs(Level.READ)
def show_approvals() -> Response:
    """Lists what awaits approval, newest first."""
    who = caller()
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = TriggerFilter(asked.get("agent_id"), asked.get("type"), text=asked.get("q"))
        page = asked.page(lambda **span: list_awaiting(conn, who.tenant_id, wanted, **span))
        names = agent_names(conn, who.tenant_id, {trigger.agent_id for trigger in page})
    return render("approvals.html", asked.status, page=page, names=names, asked=asked)


@approvals.post("/triggers/<trigger_id>/approve")
@needs(Level.WRITE)
def approve(trigger_id: str) -> Response:
    """Approves a trigger, which starts it."""
    who, seen = caller(), shaped(ApproveIn, filled("updated_at")).updated_at
    trigger = manage.approve(
        services().db, who.tenant_id, parse_id(trigger_id, "trigger"), actor=who.actor, seen=seen
    )
    return done("/approvals", f"{trigger.name} was approved and has started.")


@approvals.post("/triggers/<trigger_id>/reject")
@needs(Level.WRITE)
def reject(trigger_id: str) -> Response:
    """Rejects a trigger, with a note for its agent."""
    who, note = caller(), shaped(NoteIn, filled("note")).note
    trigger = manage.reject(
        services().db, who.tenant_id, parse_id(trigger_id, "trigger"), actor=who.actor, note=note
    )
    return done("/approvals", f"{trigger.name} was rejected.")
