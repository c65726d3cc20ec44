"""Methods of users.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.users import UserIn, UserOut, UserPage


class Users:
    """What is done with users."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, limit: int | None = None, after: str | None = None) -> UserPage:
        """List users, newest first."""
        answer: UserPage = self._client.call("GET", "/users", query={"limit": limit, "after": after})
        return answer

    def each(self) -> Iterator[UserOut]:
        """Go through all of them, page by page."""
        return self._client.each("/users", query={})

    def create(self, **fields: Unpack[UserIn]) -> UserOut:
        """Create a user. Unknown senders on a channel become users automatically."""
        answer: UserOut = self._client.call("POST", "/users", body=fields)
        return answer

    def get(self, user_id: str, /) -> UserOut:
        """Show a user."""
        answer: UserOut = self._client.call("GET", f"/users/{self._client.quote(user_id)}")
        return answer
