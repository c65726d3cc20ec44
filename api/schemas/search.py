"""Shapes of the search."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from api.schemas.base import Answer, Query, Searched, Time


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
