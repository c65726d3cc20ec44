"""Approval of triggers that agents created."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, one_more, optional_body, page
from api.schemas.base import NoteIn
from api.schemas.triggers import ApprovalQuery, ApproveIn, TriggerOut, TriggerPage, TriggerPath
from api.services import services
from scheduler.manage.triggers.approvals import approve, reject
from scheduler.storage.read_models.trigger_lists import TriggerFilter
from scheduler.storage.read_models.triggers import list_awaiting

approvals = blueprint("approvals", "Triggers created by agents that people have to approve.")


@approvals.get("/approvals", responses={200: TriggerPage})
@needs(Level.READ, own=True)
def show_approvals(query: ApprovalQuery) -> Response:
    """List the triggers that await approval, newest first."""
    who = caller()
    wanted = TriggerFilter(who.narrow(query.agent_id), query.type, text=query.text)
    with services().db.begin() as conn:
        return page(TriggerPage, list_awaiting(conn, who.tenant_id, wanted, **one_more(query)), query)


@approvals.post(
    "/triggers/<trigger_id>/approve", responses={200: TriggerOut, **CHANGES}, request_body=optional_body(ApproveIn)
)
@needs(Level.WRITE, optional_body=True)
def approve_trigger(path: TriggerPath, body: ApproveIn) -> Response:
    """Approve a trigger that an agent created or changed: it starts now. A rejected one can still be approved."""
    who = caller()
    approved = approve(services().db, who.tenant_id, path.trigger_id, actor=who.actor, seen=body.updated_at)
    return answer(TriggerOut.model_validate(approved))


@approvals.post(
    "/triggers/<trigger_id>/reject", responses={200: TriggerOut, **CHANGES}, request_body=optional_body(NoteIn)
)
@needs(Level.WRITE, optional_body=True)
def reject_trigger(path: TriggerPath, body: NoteIn) -> Response:
    """Reject a trigger that awaits approval. It stays disabled; the agent reads the note."""
    who = caller()
    rejected = reject(services().db, who.tenant_id, path.trigger_id, actor=who.actor, note=body.note)
    return answer(TriggerOut.model_validate(rejected))
