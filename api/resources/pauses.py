"""Pauses of a tenant or, for operators, of everything. Firings are recorded and wait."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, optional_body
from api.schemas.tenants_and_keys import PauseIn, PauseOut, PausesOut, ResumeIn
from api.services import services
from scheduler.domain.errors import Forbidden

pauses = blueprint(
    "pauses", "Stops waking the agents of a tenant, or all agents, and resumes later. Firings are still recorded."
)


@pauses.get("/pause", responses={200: PausesOut})
@needs(Level.READ)
def show_pauses() -> Response:
    """Show whether the tenant, or the whole service, is paused."""
    return _both()


@pauses.post("/pause", responses={200: PausesOut, **CHANGES}, request_body=optional_body(PauseIn))
@needs(Level.ADMIN, optional_body=True)
def pause_all(body: PauseIn) -> Response:
    """Pause the tenant, or as an operator everything: no agent is woken until it is resumed.

    Running invocations finish. Pausing again only changes the note.
    """
    services().pauses.pause(pause_scope(everything=body.everything), actor=caller().actor, note=body.note)
    return _both()


@pauses.post("/resume", responses={200: PausesOut, **CHANGES}, request_body=optional_body(ResumeIn))
@needs(Level.ADMIN, optional_body=True)
def resume_all(body: ResumeIn) -> Response:
    """Resume the tenant, or everything: waiting firings are delivered now. Individual pauses stay."""
    services().pauses.resume(pause_scope(everything=body.everything), actor=caller().actor)
    return _both()


def pause_scope(*, everything: bool) -> UUID | None:
    """Returns the caller's tenant, or None for everything. Raises Forbidden without permission."""
    if everything and not caller().is_operator:
        raise Forbidden(
            "Only an operator can pause or resume everything. Omit 'everything' to act on your tenant."
        )
    return None if everything else caller().tenant_id


def _both() -> Response:
    parts = services().pauses
    tenant, service = parts.of_tenant(caller().tenant_id), parts.of_service()
    return answer(PausesOut(tenant=PauseOut.model_validate(tenant), service=PauseOut.model_validate(service)))
