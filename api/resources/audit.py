"""The audit trail."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import blueprint, one_more, page
from api.schemas.history import AuditPage, AuditQuery
from api.services import services
from scheduler.storage.read_models.history import AuditFilter, list_audit

audit = blueprint("audit", "Who did what, and when; firings appear as `trigger.fired`.")


@audit.get("/audit", responses={200: AuditPage})
@needs(Level.READ)
def show_audit(query: AuditQuery) -> Response:
    """List audit events, newest first. An operator's admin key also sees those that belong to no tenant."""
    who = caller()
    wanted = AuditFilter(query.agent_id, query.subject_id, query.action, query.trigger_id, query.span)
    operator = who.level is Level.OPERATOR
    with services().db.begin() as conn:
        rows = list_audit(conn, who.tenant_id, wanted, operator=operator, **one_more(query))
    return page(AuditPage, rows, query)
