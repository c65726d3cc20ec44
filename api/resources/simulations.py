"""Simulations of definitions."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, problems
from api.schemas.simulations import SimulatedOut, SimulationIn
from api.services import services
from scheduler.manage.models import Author

simulations = blueprint("simulations", "What definitions would do, beside today. Nothing is changed.")


@simulations.post("/simulations", responses={200: SimulatedOut, **CHANGES, **problems(429)})
@needs(Level.WRITE)
def simulate(body: SimulationIn) -> Response:
    """Simulate definitions over recorded firings or stated rates: wakes, merges, tokens and cost against today.

    Agents that the definitions do not name are left out. `clock_changes` lists what clock changes do to the proposed
    schedules in the next two years.
    """
    who = caller()
    author = Author(who.actor, who.is_operator)
    made = services().simulations.run(who.tenant_id, body.wanted(), author, body.asked())
    return answer(SimulatedOut.model_validate(made))
