"""Methods of search.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.search import SearchOut


class AsyncSearch:
    """What is done with search."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def find(self, *, q: str | None = None) -> SearchOut:
        """Find agents, triggers, invocations, firings, sessions, deliveries, models and targets."""
        answer: SearchOut = await self._client.call("GET", "/search", query={"q": q})
        return answer
