"""Users, who write to agents."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import CHANGES, answer, blueprint, one_more, page
from api.schemas.base import Page
from api.schemas.messages import UserIn, UserOut, UserPage, UserPath
from api.services import services

users = blueprint("users", "The people who write to agents.")


@users.post("/users", responses={201: UserOut, **CHANGES})
@needs(Level.WRITE)
def make_user(body: UserIn) -> Response:
    """Create a user. Unknown senders on a channel become users automatically."""
    who = caller()
    row = services().users.create(
        who.tenant_id,
        name=body.name,
        display_name=body.display_name or "",
        external_ids=body.external_ids,
        actor=who.actor,
    )
    return answer(UserOut.model_validate(row), 201, location=f"/users/{row.id}")


@users.get("/users", responses={200: UserPage})
@needs(Level.READ)
def show_users(query: Page) -> Response:
    """List users, newest first."""
    return page(UserPage, services().users.list(caller().tenant_id, **one_more(query)), query)


@users.get("/users/<user_id>", responses={200: UserOut})
@needs(Level.READ)
def show_user(path: UserPath) -> Response:
    """Show a user."""
    return answer(UserOut.model_validate(services().users.get(caller().tenant_id, path.user_id)))
