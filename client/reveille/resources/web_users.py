"""Methods of web users.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.web_users import WebUserIn, WebUserOut, WebUserPage, WebUserPatch


class WebUsers:
    """What is done with web users."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, limit: int | None = None, after: str | None = None) -> WebUserPage:
        """List the tenant's web users, newest first; for the operator also the operators."""
        answer: WebUserPage = self._client.call("GET", "/web-users", query={"limit": limit, "after": after})
        return answer

    def each(self) -> Iterator[WebUserOut]:
        """Go through all of them, page by page."""
        return self._client.each("/web-users", query={})

    def create(self, **fields: Unpack[WebUserIn]) -> WebUserOut:
        """Create a web user. The name is unique across tenants, as only the name and the password are entered."""
        answer: WebUserOut = self._client.call("POST", "/web-users", body=fields)
        return answer

    def get(self, web_user_id: str, /) -> WebUserOut:
        """Show a web user."""
        answer: WebUserOut = self._client.call("GET", f"/web-users/{self._client.quote(web_user_id)}")
        return answer

    def delete(self, web_user_id: str, /) -> None:
        """Delete a web user, which ends the user's sessions."""
        self._client.call("DELETE", f"/web-users/{self._client.quote(web_user_id)}")

    def update(self, web_user_id: str, /, **fields: Unpack[WebUserPatch]) -> WebUserOut:
        """Change a web user's password or scope, which ends the user's sessions."""
        answer: WebUserOut = self._client.call(
            "PATCH", f"/web-users/{self._client.quote(web_user_id)}", body=fields
        )
        return answer
