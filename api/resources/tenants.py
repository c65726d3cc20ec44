"""Tenants; for operators only."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, optional_body, page
from api.schemas.base import NoteIn, Page
from api.schemas.tenants_and_keys import PauseOut, TenantIn, TenantOut, TenantPage, TenantPatch, TenantPath
from api.services import services

tenants = blueprint("tenants", "The owners of agents. Requires an operator's admin key.")


@tenants.post("/tenants", responses={201: TenantOut, **CHANGES})
@needs(Level.OPERATOR)
def make_tenant(body: TenantIn) -> Response:
    """Create a tenant."""
    row = services().tenants.create(body.model_dump(), actor=caller().actor)
    return answer(TenantOut.model_validate(row), 201, location=f"/tenants/{row.id}")


@tenants.get("/tenants", responses={200: TenantPage})
@needs(Level.OPERATOR)
def show_tenants(query: Page) -> Response:
    """List tenants, newest first."""
    return page(TenantPage, services().tenants.list(**one_more(query)), query)


@tenants.get("/tenants/<tenant_id>", responses={200: TenantOut})
@needs(Level.OPERATOR)
def show_tenant(path: TenantPath) -> Response:
    """Show a tenant."""
    return answer(TenantOut.model_validate(services().tenants.get(path.tenant_id)))


@tenants.patch("/tenants/<tenant_id>", responses={200: TenantOut, **CHANGES})
@needs(Level.OPERATOR)
def change_tenant(path: TenantPath, body: TenantPatch) -> Response:
    """Change a tenant. A timezone moves triggers where neither they nor their agents have their own.

    Windows held for a changed limit are reconsidered at once.
    """
    row = services().tenants.update(path.tenant_id, given(body), actor=caller().actor)
    return answer(TenantOut.model_validate(row))


@tenants.delete("/tenants/<tenant_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.OPERATOR)
def remove_tenant(path: TenantPath) -> Response:
    """Delete a tenant without agents, and its keys."""
    services().tenants.delete(path.tenant_id, actor=caller().actor)
    return no_content()


@tenants.post(
    "/tenants/<tenant_id>/pause", responses={200: PauseOut, **CHANGES}, request_body=optional_body(NoteIn)
)
@needs(Level.OPERATOR, optional_body=True)
def pause_tenant(path: TenantPath, body: NoteIn) -> Response:
    """Pause a tenant."""
    paused = services().pauses.pause(path.tenant_id, actor=caller().actor, note=body.note)
    return answer(PauseOut.model_validate(paused))


@tenants.post("/tenants/<tenant_id>/resume", responses={200: PauseOut, **CHANGES})
@needs(Level.OPERATOR)
def resume_tenant(path: TenantPath) -> Response:
    """Resume a tenant: waiting firings are delivered now."""
    return answer(PauseOut.model_validate(services().pauses.resume(path.tenant_id, actor=caller().actor)))
