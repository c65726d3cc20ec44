"""The page of the audit trail."""

from __future__ import annotations

import re
from uuid import UUID

from flask import Response

from api.auth import Level, caller, needs
from api.services import services
from api.web.base import page_blueprint, render
from api.web.list_filters import AGENT, FROM, TO, TRIGGER, Filter, read_filters
from scheduler.domain.errors import InvalidField
from scheduler.storage.read_models.history import AuditFilter, list_audit
from scheduler.storage.read_models.overviews import agent_names

ACTION = re.compile(r"[a-z_]{1,50}(\.[a-z_]{1,50})?")
LINKED = {"agent": "/agents/", "trigger": "/triggers/", "invocation": "/invocations/", "webhook": "/triggers/"}
"""Subjects that have a page."""
NAMED = {"firing_id": "/firings/", "invocation_id": "/invocations/", "replayed_into": "/invocations/"}
"""Details whose values have a page."""


def _action(text: str) -> str:
    if not ACTION.fullmatch(text):
        raise InvalidField(f"{text!r} is not an action. Write it like trigger.paused, or just trigger.")
    return text


def _subject(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidField(f"{text!r} is not an ID.") from None


FILTERS = (
    Filter("action", "Action", check=_action, hint="Like trigger.paused, or just trigger."),
    Filter("subject_id", "Subject ID", check=_subject, hint="Of an agent, trigger, invocation …"),
    AGENT,
    TRIGGER,
    FROM,
    TO,
)

audit = page_blueprint("audit")


@audit.get("/audit")
@needs(Level.READ)
def show_audit() -> Response:
    """Lists audit events matching the filters, newest first."""
    who = caller()
    operator = who.level is Level.OPERATOR
    with services().db.begin() as conn:
        asked = read_filters(conn, who.tenant_id, FILTERS)
        wanted = AuditFilter(
            asked.get("agent_id"),
            asked.get("subject_id"),
            asked.get("action"),
            asked.get("trigger_id"),
            asked.span,
        )
        page = asked.page(lambda **span: list_audit(conn, who.tenant_id, wanted, operator=operator, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page if row.agent_id})
    return render("audit.html", asked.status, page=page, names=names, asked=asked, linked=LINKED, named=NAMED)
