"""One search over names, ids, reasons and errors."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from pydantic import Field

from api.auth import Level, caller, needs
from api.resources.base import answer, blueprint
from api.schemas.base import Answer, Query, Searched, Time
from api.services import services
from scheduler.storage.read_models.search import search


class SearchQuery(Query):
    """The search text."""

    q: Searched = Field(
        description="Part of a name, reason or error; or an id, its beginning, its last 8 characters."
    )


class MatchOut(Answer):
    """A search result."""

    kind: str = Field(
        description="`agent`, `trigger`, `invocation`, `firing`, `session`, `message`, `delivery`, `model` or `target`."
    )
    id: UUID
    title: str | None
    detail: str | None
    at: Time | None


class SearchOut(Answer):
    """All results: ids first, then names and texts; at most 20 of a kind."""

    items: list[MatchOut]


finder = blueprint("search", "One search over names, ids, reasons and errors.")


@finder.get("/search", responses={200: SearchOut})
@needs(Level.READ)
def find(query: SearchQuery) -> Response:
    """Find agents, triggers, invocations, firings, sessions, deliveries, models and targets."""
    with services().db.begin() as conn:
        found = search(conn, caller().tenant_id, query.q)
    return answer(SearchOut.model_validate({"items": found}, from_attributes=True))
