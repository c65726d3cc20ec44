"""One search over names, ids, reasons and errors."""

from __future__ import annotations

from flask import Response

from api.auth import Level, caller, needs
from api.resources.base import answer, blueprint
from api.schemas.search import SearchOut, SearchQuery
from api.services import services
from scheduler.storage.search import search

finder = blueprint("search", "One search over names, ids, reasons and errors.")


@finder.get("/search", responses={200: SearchOut})
@needs(Level.READ)
def find(query: SearchQuery) -> Response:
    """Find agents, triggers, invocations, firings, sessions, deliveries, models and targets."""
    with services().db.begin() as conn:
        found = search(conn, caller().tenant_id, query.q)
    return answer(SearchOut.model_validate({"items": found}, from_attributes=True))
