"""Web users, who sign in to the web UI with a name and a password."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from api.schemas.base import Answer, Listed, Name, Time, id_of, no_defaults
from scheduler.domain.passwords import MAX_LENGTH, MIN_LENGTH
from scheduler.domain.shapes import Shape

Password = Annotated[str, StringConstraints(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
WebScope = Literal["admin", "write", "read"]


class WebUserIn(Shape):
    """A new web user. Without `tenant_id` it is for the current tenant; null: an operator, who sees every tenant."""

    name: Name
    password: Password
    scope: WebScope = "read"
    tenant_id: Annotated[UUID, Field(strict=False)] | None = None


class WebUserPatch(Shape):
    """JSON Merge Patch (RFC 7396): omitted fields stay. The user's sessions are ended."""

    model_config = ConfigDict(json_schema_extra=no_defaults)

    password: Password = ""
    scope: WebScope = "read"


class WebUserOut(Answer):
    """A web user. `tenant_id` null: an operator."""

    id: UUID
    tenant_id: UUID | None
    name: str
    scope: str
    created_at: Time


class WebUserPage(Listed[WebUserOut]):
    """A page of web users."""


class WebUserPath(Shape):
    """Identifies a web user."""

    web_user_id: Annotated[UUID, id_of("web user")]
