"""The triggers."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.parts import parts
from api.web.base import page_blueprint, paged, render, uuid_arg

triggers = page_blueprint("triggers")


@triggers.get("/triggers")
@needs(Level.READ)
def show_triggers() -> Response:
    """All triggers, newest first, or those of one agent."""
    who, agent_id = caller(), uuid_arg("agent_id")
    shown = paged(
        lambda limit, after: parts().triggers.list(who.tenant_id, agent_id=agent_id, limit=limit, after=after)
    )
    return render("triggers.html", triggers=shown)
