"""Methods of search.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.search import SearchOut


class Search:
    """What is done with search."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, *, q: str | None = None) -> SearchOut:
        """Find agents, triggers, invocations, firings, sessions, deliveries, models and targets."""
        answer: SearchOut = self._client.call("GET", "/search", query={"q": q})
        return answer
