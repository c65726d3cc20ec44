"""Tenants: the operator's alone."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Level, caller, needs
from api.resource import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.owners import TenantIn, TenantOut, TenantPage, TenantPatch, TenantPath
from api.services import services
from scheduler.invocations.budgets import free_tenants_windows
from scheduler.manage.agent_heartbeat import widen_heartbeats
from scheduler.manage.trigger_jobs import rezone_tenant
from scheduler.storage.audit import Event, record_events
from scheduler.storage.budgets import LIMITS, forget_notices
from scheduler.storage.tenants import create_tenant, delete_tenant, get_tenant, list_tenants, update_tenant

tenants = blueprint("tenants", "The owners of agents. Only an operator's admin key sees them.")


@tenants.post("/tenants", responses={201: TenantOut, **CHANGES})
@needs(Level.OPERATOR)
def make_tenant(body: TenantIn) -> Response:
    """Make a tenant."""
    with services().db.begin() as conn:
        row = create_tenant(conn, body.model_dump())
        _audit(conn, "created", row.id, name=row.name)
    return answer(TenantOut.model_validate(row), 201, location=f"/tenants/{row.id}")


@tenants.get("/tenants", responses={200: TenantPage})
@needs(Level.OPERATOR)
def show_tenants(query: Page) -> Response:
    """List tenants, newest first."""
    with services().db.begin() as conn:
        return page(TenantPage, list_tenants(conn, **one_more(query)), query)


@tenants.get("/tenants/<tenant_id>", responses={200: TenantOut})
@needs(Level.OPERATOR)
def show_tenant(path: TenantPath) -> Response:
    """Show a tenant."""
    with services().db.begin() as conn:
        return answer(TenantOut.model_validate(get_tenant(conn, path.tenant_id)))


@tenants.patch("/tenants/<tenant_id>", responses={200: TenantOut, **CHANGES})
@needs(Level.OPERATOR)
def change_tenant(path: TenantPath, body: TenantPatch) -> Response:
    """Change a tenant. A timezone moves the triggers that have none of their own and whose agent has none.

    What was held for a limit that is changed is decided anew, at once.
    """
    patch = given(body)
    with services().db.begin() as conn:
        before = get_tenant(conn, path.tenant_id)
        patch = {name: value for name, value in patch.items() if getattr(before, name) != value}
        row = update_tenant(conn, path.tenant_id, patch)
        if "timezone" in patch:
            rezone_tenant(conn, path.tenant_id)
        if LIMITS & patch.keys():
            forget_notices(conn, path.tenant_id)
        if (LIMITS | {"timezone"}) & patch.keys():
            free_tenants_windows(conn, path.tenant_id)
        if patch:
            _audit(conn, "updated", row.id, fields=sorted(patch))
    if "min_heartbeat_interval" in patch:
        parts, floor = services(), row.min_heartbeat_interval
        widen_heartbeats(parts.db, parts.triggers, path.tenant_id, floor, actor=caller().actor)
    return answer(TenantOut.model_validate(row))


@tenants.delete("/tenants/<tenant_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.OPERATOR)
def remove_tenant(path: TenantPath) -> Response:
    """Delete a tenant that has no agents left, and its keys."""
    with services().db.begin() as conn:
        name = delete_tenant(conn, path.tenant_id)
        _audit(conn, "deleted", path.tenant_id, name=name)
    return no_content()


def _audit(conn: Connection, verb: str, tenant_id: UUID, **detail: object) -> None:
    """To no tenant's trail: these are the operator's doings, and the tenant may be gone."""
    event = Event(f"tenant.{verb}", None, subject_id=tenant_id, actor=caller().actor, detail=detail)
    record_events(conn, [event])
