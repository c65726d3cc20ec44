"""API keys. A key is shown once, when it is created."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.presenters import key_created
from api.resources.base import CHANGES, EMPTY, answer, blueprint, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.tenants_and_keys import KeyCreated, KeyIn, KeyOut, KeyPage, KeyPath
from api.services import services

keys = blueprint("api-keys", "Keys for a tenant, for a single agent, or for the operator.")


@keys.post("/api-keys", responses={201: KeyCreated, **CHANGES})
@needs(Level.ADMIN)
def make_key(body: KeyIn) -> Response:
    """Create a key. It is in this response only."""
    who = caller()
    made = services().keys.create(who.requester, body.spec(who.tenant_id))
    return answer(key_created(made), 201, location=f"/api-keys/{made.row.id}")


@keys.get("/api-keys", responses={200: KeyPage})
@needs(Level.ADMIN)
def show_keys(query: Page) -> Response:
    """List the live keys of the tenant, newest first; for the operator also the operators' own."""
    return page(KeyPage, services().keys.list(caller().requester, **one_more(query)), query)


@keys.get("/api-keys/<key_id>", responses={200: KeyOut})
@needs(Level.ADMIN)
def show_key(path: KeyPath) -> Response:
    """Show a key without its secret."""
    return answer(KeyOut.model_validate(services().keys.get(caller().requester, path.key_id)))


@keys.delete("/api-keys/<key_id>", responses={204: EMPTY, **CHANGES})
@needs(Level.ADMIN)
def remove_key(path: KeyPath) -> Response:
    """Revoke a key for good, at once. The operator's last admin key cannot be revoked."""
    services().keys.revoke(caller().requester, path.key_id)
    return no_content()
