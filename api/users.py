"""Users: the people who write to agents."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resource import CHANGES, answer, blueprint, one_more, page
from api.schemas.base import Page
from api.schemas.messages import UserIn, UserOut, UserPage, UserPath
from api.services import services
from scheduler.storage.audit import record_event
from scheduler.storage.users import create_user, get_user, list_users

users = blueprint("users", "The people who write to agents.")


@users.post("/users", responses={201: UserOut, **CHANGES})
@needs(Level.WRITE)
def make_user(body: UserIn) -> Response:
    """Make a user. Whoever writes on a channel and is not known yet becomes one by itself."""
    who = caller()
    with services().db.begin() as conn:
        row = create_user(
            conn,
            who.tenant_id,
            name=body.name,
            display_name=body.display_name or "",
            external_ids=body.external_ids,
        )
        record_event(
            conn,
            action="user.created",
            tenant_id=who.tenant_id,
            subject_id=row.id,
            actor=who.actor,
            name=row.name,
        )
    return answer(UserOut.model_validate(row), 201, location=f"/users/{row.id}")


@users.get("/users", responses={200: UserPage})
@needs(Level.READ)
def show_users(query: Page) -> Response:
    """List users, newest first."""
    with services().db.begin() as conn:
        return page(UserPage, list_users(conn, caller().tenant_id, **one_more(query)), query)


@users.get("/users/<user_id>", responses={200: UserOut})
@needs(Level.READ)
def show_user(path: UserPath) -> Response:
    """Show a user."""
    with services().db.begin() as conn:
        return answer(UserOut.model_validate(get_user(conn, caller().tenant_id, path.user_id)))
