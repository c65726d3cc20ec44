"""Notification targets: where people are told of the agents' replies besides their sessions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request

from api.auth import Level, caller, needs
from api.presenters import target_out
from api.schemas.agents import AgentPath
from api.schemas.notification_targets import TargetIn
from api.services import services
from api.web.base import done, page_blueprint, paged, render, uuid_arg
from api.web.shapes import filled, shaped, wrong_fields
from scheduler.domain.errors import ReveilleError
from scheduler.domain.ids import parse_id
from scheduler.notifications.targets.registry import TARGETS
from scheduler.storage.agents import get_agent
from scheduler.storage.overviews import agent_names, list_all_targets

PATH = "/settings/notifications"

notifications = page_blueprint("notifications")


@notifications.get(PATH)
@needs(Level.READ)
def show_targets() -> Response:
    """List the targets of all agents, or those of one with a form for another."""
    return _page(uuid_arg("agent_id"))


@notifications.post("/agents/<agent_id>/notifications")
@needs(Level.WRITE)
def make(agent_id: str) -> Response:
    """Make a target; the secret of a webhook is shown this once."""
    who, path = caller(), shaped(AgentPath, {"agent_id": agent_id})
    given = {"name": "", "kind": "", **filled("name", "kind", "url", "secret")}
    try:
        spec = shaped(TargetIn, given).spec()
        made = services().targets.create(who.tenant_id, path.agent_id, spec, actor=who.actor)
    except ReveilleError as error:
        shown = {"name": given["name"], "kind": given["kind"]}
        return _page(path.agent_id, error.status, errors=wrong_fields(error), given=shown)
    return _page(path.agent_id, 201, made=target_out(made.row, made.secret).model_dump(mode="json"))


@notifications.post(f"{PATH}/<target_id>/test")
@needs(Level.WRITE)
def test(target_id: str) -> Response:
    """Send a test, and tell what became of it."""
    problem = services().targets.test(caller().tenant_id, _id(target_id))
    said = "The test was delivered." if problem is None else f"The test was not delivered: {problem.error}"
    return done(_back(), said)


@notifications.post(f"{PATH}/<target_id>/delete")
@needs(Level.WRITE)
def delete(target_id: str) -> Response:
    """Delete a target."""
    who = caller()
    services().targets.delete(who.tenant_id, _id(target_id), actor=who.actor)
    return done(_back(), "The target was deleted.")


def _id(target_id: str) -> UUID:
    return parse_id(target_id, "notification target")


def _back() -> str:
    agent_id = request.form.get("agent_id", "")
    return f"{PATH}?agent_id={parse_id(agent_id, 'agent')}" if agent_id else PATH


def _page(agent_id: UUID | None, status: int = 200, **values: Any) -> Response:
    who = caller()
    with services().db.begin() as conn:
        agent = None if agent_id is None else get_agent(conn, who.tenant_id, agent_id)
        page = paged(lambda **span: list_all_targets(conn, who.tenant_id, agent_id, **span))
        names = agent_names(conn, who.tenant_id, {row.agent_id for row in page})
    shown = {"errors": {}, "given": {}, "made": None} | values
    return render("notifications.html", status, page=page, names=names, agent=agent, kinds=list(TARGETS), **shown)
