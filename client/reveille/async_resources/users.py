"""Methods of users.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.users import UserIn, UserOut, UserPage


class AsyncUsers:
    """What is done with users."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> UserPage:
        """List users, newest first."""
        answer: UserPage = await self._client.call("GET", "/users", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[UserOut]:
        """Go through all of them, page by page."""
        return self._client.each("/users", query={})

    async def create(self, **fields: Unpack[UserIn]) -> UserOut:
        """Create a user. Unknown senders on a channel become users automatically."""
        answer: UserOut = await self._client.call("POST", "/users", body=fields)
        return answer

    async def get(self, user_id: str, /) -> UserOut:
        """Show a user."""
        answer: UserOut = await self._client.call("GET", f"/users/{self._client.quote(user_id)}")
        return answer
