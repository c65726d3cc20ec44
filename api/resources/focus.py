"""Focuses: the subjects that an agent's triggers belong to."""

from __future__ import annotations

from flask import Response, request

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint
from api.schemas.agents import AgentPath, FocusPage, FocusPath
from api.schemas.triggers import TriggerPage
from api.services import services
from scheduler.domain.errors import NotFound
from scheduler.manage.triggers.focus import MAX_LISTED, resolve_focus
from scheduler.storage.agents import get_agent
from scheduler.storage.read_models.triggers import list_focus

focus = blueprint("focus", "The subjects that an agent's triggers belong to.")


@focus.get("/agents/<agent_id>/focus", responses={200: FocusPage})
@needs(Level.READ, own=True)
def show_focus(path: AgentPath) -> Response:
    """List the focuses of an agent's triggers, with the number of triggers and of those still active."""
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, path.agent_id)
        found = list_focus(conn, path.agent_id, MAX_LISTED)
    return answer(FocusPage.model_validate({"items": found}, from_attributes=True))


@focus.post("/agents/<agent_id>/focus/<reference:focus_ref>/resolve", responses={200: TriggerPage, **CHANGES})
@needs(Level.WRITE, own=True)
def resolve(path: FocusPath) -> Response:
    """End all triggers of a focus at once and return them. Their recorded firings are still delivered.

    An agent's own key ends those that the agent may change.
    """
    who = caller()
    who.must_reach(path.agent_id, "agent", path.agent_id)
    if request.query_string:  # `a/resolve?b`, unescaped, would end `a`
        raise NotFound("This request takes no query; write a ? in a focus_ref as %3F.")
    with services().db.begin() as conn:
        get_agent(conn, who.tenant_id, path.agent_id)
        ended = resolve_focus(
            conn, who.tenant_id, path.agent_id, path.focus_ref, actor=who.actor, by_agent=who.is_agent
        )
    return answer(TriggerPage.model_validate({"items": ended}, from_attributes=True))
