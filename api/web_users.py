"""People who sign in to the web UI by a name and a password, which is stored as a scrypt hash (RFC 7914) alone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection, Row

from api.auth import Caller, Level, caller, needs
from api.resource import CHANGES, EMPTY, answer, blueprint, given, no_content, one_more, page
from api.schemas.base import Page
from api.schemas.web_users import WebUserIn, WebUserOut, WebUserPage, WebUserPatch, WebUserPath
from api.services import services
from scheduler.domain.errors import Forbidden, NotFound
from scheduler.domain.passwords import hash_password
from scheduler.storage.audit import Event, record_events
from scheduler.storage.tenants import get_tenant
from scheduler.storage.web_sessions import change_user, create_user, delete_user, get_user, list_users

web_users = blueprint("web-users", "People who sign in to the web UI by a password.")


@web_users.post("/web-users", responses={201: WebUserOut, **CHANGES})
@needs(Level.ADMIN)
def make_web_user(body: WebUserIn) -> Response:
    """Make a web user. The name is unique over all tenants, for it is all that is typed beside the password."""
    who = caller()
    tenant_id = _owner(who, body)
    # The hash takes its time on purpose; no connection is held meanwhile.
    values = {"name": body.name, "password_hash": hash_password(body.password, body.name), "scope": body.scope}
    with services().db.begin() as conn:
        if tenant_id is not None:
            get_tenant(conn, tenant_id, keep=True)
        row = create_user(conn, values | {"tenant_id": tenant_id})
        _audit(conn, "created", row, scope=row.scope)
    return answer(WebUserOut.model_validate(row), 201, location=f"/web-users/{row.id}")


@web_users.get("/web-users", responses={200: WebUserPage})
@needs(Level.ADMIN)
def show_web_users(query: Page) -> Response:
    """List the tenant's web users, and for the operator the operators' too, newest first."""
    who = caller()
    with services().db.begin() as conn:
        rows = list_users(conn, who.tenant_id, operator=who.is_operator, **one_more(query))
    return page(WebUserPage, rows, query)


@web_users.get("/web-users/<web_user_id>", responses={200: WebUserOut})
@needs(Level.ADMIN)
def show_web_user(path: WebUserPath) -> Response:
    """Show a web user."""
    with services().db.begin() as conn:
        return answer(WebUserOut.model_validate(_found(conn, path.web_user_id)))


@web_users.patch("/web-users/<web_user_id>", responses={200: WebUserOut, **CHANGES})
@needs(Level.ADMIN)
def change_web_user(path: WebUserPath, body: WebUserPatch) -> Response:
    """Change a web user's password or scope; whoever is signed in as that user is signed out."""
    patch = given(body)
    values = {"scope": patch["scope"]} if "scope" in patch else {}
    if "password" in patch:
        with services().db.begin() as conn:
            name = _found(conn, path.web_user_id).name
        values["password_hash"] = hash_password(patch["password"], name)
    with services().db.begin() as conn:
        row = _found(conn, path.web_user_id)
        if values:
            row = change_user(conn, row.id, values)
            _audit(conn, "updated", row, fields=sorted(patch))
    return answer(WebUserOut.model_validate(row))


@web_users.delete("/web-users/<web_user_id>", responses={204: EMPTY})
@needs(Level.ADMIN)
def remove_web_user(path: WebUserPath) -> Response:
    """Remove a web user, who is signed out by that."""
    with services().db.begin() as conn:
        row = _found(conn, path.web_user_id)
        delete_user(conn, row.id)
        _audit(conn, "deleted", row)
    return no_content()


def _owner(who: Caller, body: WebUserIn) -> UUID | None:
    """Whose user it will be. Raises Forbidden, or NotFound for a tenant that the caller does not act for."""
    if "tenant_id" not in body.model_fields_set:
        return who.tenant_id
    if who.is_operator or body.tenant_id == who.tenant_id:
        return body.tenant_id
    if body.tenant_id is None:
        raise Forbidden("Only an operator's key makes operators.")
    raise NotFound(f"There is no tenant '{body.tenant_id}'.")


def _found(conn: Connection, user_id: UUID) -> Row[Any]:
    who = caller()
    return get_user(conn, who.tenant_id, user_id, operator=who.is_operator)


def _audit(conn: Connection, verb: str, row: Row[Any], **detail: object) -> None:
    event = Event(f"web_user.{verb}", row.tenant_id, row.id, None, caller().actor, {"name": row.name} | detail)
    record_events(conn, [event])
