"""Approvals: triggers that agents made, which a person lets start or not."""

from __future__ import annotations

from flask import Response

from api.approvals import approve_trigger, reject_trigger
from api.auth import Level, caller, needs
from api.schemas.base import NoteIn
from api.schemas.triggers import ApproveIn, TriggerPath
from api.services import services
from api.web.base import done, page_blueprint, paged, render
from api.web.shapes import filled, shaped
from scheduler.storage.overviews import agent_names
from scheduler.storage.own_triggers import list_awaiting

approvals = page_blueprint("approvals")


@approvals.get("/approvals")
@needs(Level.READ)
def show_approvals() -> Response:
    """List what awaits approval, newest first."""
    who = caller()
    with services().db.begin() as conn:
        page = paged(lambda **span: list_awaiting(conn, who.tenant_id, None, **span))
        names = agent_names(conn, who.tenant_id, {trigger.agent_id for trigger in page})
    return render("approvals.html", page=page, names=names)


@approvals.post("/triggers/<trigger_id>/approve")
@needs(Level.WRITE)
def approve(trigger_id: str) -> Response:
    """Let a trigger start."""
    seen = shaped(ApproveIn, filled("updated_at"))
    name = approve_trigger(shaped(TriggerPath, {"trigger_id": trigger_id}), seen).get_json()["name"]
    return done("/approvals", f"{name} was approved and has started.")


@approvals.post("/triggers/<trigger_id>/reject")
@needs(Level.WRITE)
def reject(trigger_id: str) -> Response:
    """Refuse a trigger, with a note that its agent reads."""
    note = shaped(NoteIn, filled("note"))
    name = reject_trigger(shaped(TriggerPath, {"trigger_id": trigger_id}), note).get_json()["name"]
    return done("/approvals", f"{name} was rejected.")
