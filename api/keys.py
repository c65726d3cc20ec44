"""API keys. Who makes one sees it once; it does no more than its scopes say."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from sqlalchemy import Connection

from api.auth import Caller, Level, caller, needs
from api.resource import CHANGES, EMPTY, answer, blueprint, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.owners import AGENT_PREFIX, KeyCreated, KeyIn, KeyOut, KeyPage, KeyPath
from api.services import services
from scheduler.domain.errors import Forbidden, InvalidField, NotFound
from scheduler.storage.agents import get_agent
from scheduler.storage.audit import record_event
from scheduler.storage.keys import create_key, get_key, list_keys, revoke_key
from scheduler.storage.tenants import get_tenant

keys = blueprint("api-keys", "The keys that act for a tenant, for one agent, or for the operator.")


@keys.post("/api-keys", responses={201: KeyCreated, **CHANGES})
@needs(Level.ADMIN)
def make_key(body: KeyIn) -> Response:
    """Make a key. It is in this answer only."""
    who = caller()
    tenant_id = _owner(who, body)
    if body.expires_at is not None and body.expires_at <= services().clock.now():
        raise InvalidField("expires_at has passed already; give a later moment, or none.", field="expires_at")
    with services().db.begin() as conn:
        if tenant_id is not None:
            get_tenant(conn, tenant_id, keep=True)
        _check_agent(conn, tenant_id, body.scopes[0])
        made = create_key(
            conn, tenant_id=tenant_id, name=body.name, scopes=body.scopes, expires_at=body.expires_at
        )
        record_event(
            conn,
            action="key.created",
            tenant_id=tenant_id,
            subject_id=made.row.id,
            actor=who.actor,
            name=body.name,
            scopes=body.scopes,
            prefix=made.row.prefix,
        )
    shown = KeyCreated.model_validate({**made.row._mapping, "key": made.key})  # noqa: SLF001
    return answer(shown, 201, location=f"/api-keys/{made.row.id}")


@keys.get("/api-keys", responses={200: KeyPage})
@needs(Level.ADMIN)
def show_keys(query: Page) -> Response:
    """List the live keys of the tenant, and for the operator the operators' too, newest first."""
    who = caller()
    with services().db.begin() as conn:
        rows = list_keys(conn, who.tenant_id, operator=who.is_operator, **one_more(query))
    return page(KeyPage, rows, query)


@keys.get("/api-keys/<key_id>", responses={200: KeyOut})
@needs(Level.ADMIN)
def show_key(path: KeyPath) -> Response:
    """Show a key, but for the key itself."""
    who = caller()
    with services().db.begin() as conn:
        return answer(KeyOut.model_validate(get_key(conn, who.tenant_id, path.key_id, operator=who.is_operator)))


@keys.delete("/api-keys/<key_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.ADMIN)
def remove_key(path: KeyPath) -> Response:
    """Revoke a key for good, at once. The operator's last admin key cannot be."""
    who = caller()
    with services().db.begin() as conn:
        row = revoke_key(conn, who.tenant_id, path.key_id, operator=who.is_operator)
        record_event(
            conn,
            action="key.revoked",
            tenant_id=row.tenant_id,
            subject_id=row.id,
            actor=who.actor,
            name=row.name,
            prefix=row.prefix,
        )
    return no_content()


def _owner(who: Caller, body: KeyIn) -> UUID | None:
    """Whose key it will be. Raises Forbidden, or NotFound for a tenant that the caller does not act for."""
    if "tenant_id" not in body.model_fields_set:
        return who.tenant_id
    if who.is_operator or body.tenant_id == who.tenant_id:
        return body.tenant_id
    if body.tenant_id is None:
        raise Forbidden("Only an operator's key makes operators' keys.")
    raise NotFound(f"There is no tenant '{body.tenant_id}'.")


def _check_agent(conn: Connection, tenant_id: UUID | None, scope: str) -> None:
    """Refuse an `agent:ID` of no agent of the tenant's. It stands alone, so the first scope tells."""
    if not scope.startswith(AGENT_PREFIX):
        return
    if tenant_id is None:
        raise InvalidField("An operator's key is for no single agent; give a tenant_id.", field="scopes")
    try:
        get_agent(conn, tenant_id, UUID(scope.removeprefix(AGENT_PREFIX)))
    except NotFound as error:
        raise InvalidField(error.message, field="scopes") from None
