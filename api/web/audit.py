"""The audit trail."""

from __future__ import annotations

import re

from flask import Response, request

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import page_blueprint, paged, render, uuid_arg
from scheduler.domain.errors import NotFound
from scheduler.storage.overviews import agent_names
from scheduler.storage.queries import AuditFilter, list_audit

ACTION = re.compile(r"[a-z_]{1,50}(\.[a-z_]{1,50})?")
SUBJECTS = ("agent", "trigger", "invocation", "webhook", "key", "session", "tenant", "model")
LINKED = {"agent": "/agents/", "trigger": "/triggers/", "invocation": "/invocations/", "webhook": "/triggers/"}
"""Subjects that have a page."""
NAMED = {"firing_id": "/firings/", "invocation_id": "/invocations/", "replayed_into": "/invocations/"}
"""Details that name what has a page."""

audit = page_blueprint("audit")


@audit.get("/audit")
@needs(Level.READ)
def show_audit() -> Response:
    """List what happened, newest first, of one kind or to one subject if asked."""
    who = caller()
    action = request.args.get("action", "").strip() or None
    if action is not None and not ACTION.fullmatch(action):
        raise NotFound("There is no such action. Write it like trigger.paused, or just trigger.")
    wanted = AuditFilter(None, uuid_arg("subject_id"), action)
    operator = who.level is Level.OPERATOR
    with services().db.begin() as conn:
        page = paged(lambda **span: list_audit(conn, who.tenant_id, wanted, operator=operator, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page if row.agent_id})
    return render(
        "audit.html", page=page, names=names, wanted=wanted, subjects=SUBJECTS, linked=LINKED, named=NAMED
    )
