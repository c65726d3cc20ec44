"""Web users, who sign in to the web UI with a name and a password, stored only as a scrypt hash (RFC 7914)."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.tenants_and_keys import WebUserIn, WebUserOut, WebUserPage, WebUserPatch, WebUserPath
from api.services import services
from scheduler.manage.web_users import WebUserSpec

web_users = blueprint("web-users", "People who sign in to the web UI with a password.")


@web_users.post("/web-users", responses={201: WebUserOut, **CHANGES})
@needs(Level.ADMIN)
def make_web_user(body: WebUserIn) -> Response:
    """Create a web user. The name is unique across tenants, as only the name and the password are entered."""
    who = caller().requester
    tenant_id = body.tenant_id if "tenant_id" in body.model_fields_set else who.tenant_id
    row = services().web_users.create(who, WebUserSpec(tenant_id, body.name, body.password, body.scope))
    return answer(WebUserOut.model_validate(row), 201, location=f"/web-users/{row.id}")


@web_users.get("/web-users", responses={200: WebUserPage})
@needs(Level.ADMIN)
def show_web_users(query: Page) -> Response:
    """List the tenant's web users, newest first; for the operator also the operators."""
    return page(WebUserPage, services().web_users.list(caller().requester, **one_more(query)), query)


@web_users.get("/web-users/<web_user_id>", responses={200: WebUserOut})
@needs(Level.ADMIN)
def show_web_user(path: WebUserPath) -> Response:
    """Show a web user."""
    return answer(WebUserOut.model_validate(services().web_users.get(caller().requester, path.web_user_id)))


@web_users.patch("/web-users/<web_user_id>", responses={200: WebUserOut, **CHANGES})
@needs(Level.ADMIN)
def change_web_user(path: WebUserPath, body: WebUserPatch) -> Response:
    """Change a web user's password or scope, which ends the user's sessions."""
    row = services().web_users.update(caller().requester, path.web_user_id, given(body))
    return answer(WebUserOut.model_validate(row))


@web_users.delete("/web-users/<web_user_id>", responses={204: EMPTY})
@needs(Level.ADMIN)
def remove_web_user(path: WebUserPath) -> Response:
    """Delete a web user, which ends the user's sessions."""
    services().web_users.delete(caller().requester, path.web_user_id)
    return no_content()
