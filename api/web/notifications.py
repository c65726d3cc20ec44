"""The page of notification targets, to which agents' replies are sent besides their sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import target_out
from api.schemas.agents import AgentPath
from api.schemas.notification_targets import TargetIn
from api.services import services
from api.web.base import done, page_blueprint, render
from api.web.forms.kept_secrets import KeptSecrets
from api.web.forms.validation import filled, shaped, wrong_fields
from api.web.list_filters import AGENT, ERROR, FROM, TO, RequestFilters, choice, read_filters
from scheduler.domain.errors import ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.notifications.targets.registry import TARGETS
from scheduler.storage.agents import get_agent
from scheduler.storage.read_models.overviews import TARGET_STATES, TargetFilter, agent_names, list_all_targets

PATH = "/settings/notifications"
FILTERS = (
    AGENT,
    choice("state", "State", list(TARGET_STATES)),
    replace(FROM, label="Last delivered from"),
    replace(TO, label="Last delivered to"),
    ERROR,
)

notifications = page_blueprint("notifications")


@notifications.get(PATH)
@needs(Level.READ)
def show_targets() -> Response:
    """Lists the targets of all agents, or those of one with a form for another."""
    return _page()


@notifications.post("/agents/<agent_id>/notifications")
@needs(Level.WRITE)
def make(agent_id: str) -> Response:
    """Creates a target; the secret of a webhook is shown only this once."""
    who, path = caller(), shaped(AgentPath, {"agent_id": agent_id})
    kept = KeptSecrets(f"notification target of {path.agent_id}", ("url", "secret"))
    given = kept.put_back({"name": "", "kind": "", **filled("name", "kind", "url", "secret")})
    try:
        kept.check()
        spec = shaped(TargetIn, given).spec()
        made = services().targets.create(who.tenant_id, path.agent_id, spec, actor=who.actor)
    except ReveilleError as error:
        shown = {"given": kept.without(given), "kept": kept.sealed(given)}
        return _page(path.agent_id, error.status, errors=wrong_fields(error), **shown)
    return _page(path.agent_id, 201, made=target_out(made.row, made.secret).model_dump(mode="json"))


@notifications.post(f"{PATH}/<target_id>/test")
@needs(Level.WRITE)
def test(target_id: str) -> Response:
    """Sends a test and shows the result."""
    problem = services().targets.test(caller().tenant_id, _id(target_id))
    said = "The test was delivered." if problem is None else f"The test was not delivered: {problem.error}"
    return done(_back(), said)


@notifications.post(f"{PATH}/<target_id>/delete")
@needs(Level.WRITE)
def delete(target_id: str) -> Response:
    """Deletes a target."""
    who = caller()
    services().targets.delete(who.tenant_id, _id(target_id), actor=who.actor)
    return done(_back(), "The target was deleted.")


def _id(target_id: str) -> UUID:
    return parse_id(target_id, "notification target")


def _back() -> str:
    agent_id = request.form.get("agent_id", "")
    return f"{PATH}?agent_id={parse_id(agent_id, 'agent')}" if agent_id else PATH


def _page(agent_id: UUID | None = None, status: int = 200, **values: Any) -> Response:
    """Renders the list, or the response to a form with one agent's targets."""
    who = caller()
    with services().db.begin() as conn:
        asked = RequestFilters(FILTERS) if agent_id else read_filters(conn, who.tenant_id, FILTERS)
        of_agent = agent_id or asked.get("agent_id")
        wanted = TargetFilter(of_agent, asked.get("state"), asked.span, asked.get("error"))
        agent = None if of_agent is None else get_agent(conn, who.tenant_id, of_agent)
        page = asked.page(lambda **span: list_all_targets(conn, who.tenant_id, wanted, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page})
    shown = {"errors": {}, "given": {}, "kept": {}, "made": None} | values
    return render(
        "notifications.html",
        max(status, asked.status),
        page=page,
        names=names,
        agent=agent,
        kinds=list(TARGETS),
        asked=asked,
        **shown,
    )
