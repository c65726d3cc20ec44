"""Notification targets, to which an agent's replies are sent besides its sessions."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.presenters import target_out
from api.resources.base import CHANGES, EMPTY, answer, blueprint, no_content, one_more, page, problems
from api.schemas.agents import AgentPath
from api.schemas.base import Page
from api.schemas.notification_targets import TargetIn, TargetOut, TargetPage, TargetPath, TestedOut
from api.services import services

notification_targets = blueprint("notification targets", "Additional destinations for an agent's replies.")


@notification_targets.post("/agents/<agent_id>/notification-targets", responses={201: TargetOut, **CHANGES})
@needs(Level.WRITE)
def make_target(path: AgentPath, body: TargetIn) -> Response:
    """Create a target; ten are allowed per agent. A webhook's secret is in this response only."""
    who = caller()
    made = services().targets.create(who.tenant_id, path.agent_id, body.spec(), actor=who.actor)
    return answer(target_out(made.row, made.secret), 201, location=f"/notification-targets/{made.row.id}")


@notification_targets.get("/agents/<agent_id>/notification-targets", responses={200: TargetPage})
@needs(Level.READ)
def show_targets(path: AgentPath, query: Page) -> Response:
    """List an agent's targets, newest first."""
    rows = services().targets.list(caller().tenant_id, path.agent_id, **one_more(query))
    return page(TargetPage, [target_out(row) for row in rows], query)


@notification_targets.get("/notification-targets/<target_id>", responses={200: TargetOut})
@needs(Level.READ)
def show_target(path: TargetPath) -> Response:
    """Show a target."""
    return answer(target_out(services().targets.get(caller().tenant_id, path.target_id)))


@notification_targets.delete("/notification-targets/<target_id>", responses={204: EMPTY})
@needs(Level.WRITE)
def remove_target(path: TargetPath) -> Response:
    """Delete a target. Pending deliveries to it are dropped."""
    who = caller()
    services().targets.delete(who.tenant_id, path.target_id, actor=who.actor)
    return no_content()


@notification_targets.post(
    "/notification-targets/<target_id>/test", responses={200: TestedOut, **CHANGES, **problems(429)}
)
@needs(Level.WRITE)
def test_target(path: TargetPath) -> Response:
    """Send one test now and return the result."""
    problem = services().targets.test(caller().tenant_id, path.target_id)
    return answer(TestedOut(delivered=problem is None, error=None if problem is None else problem.error))
