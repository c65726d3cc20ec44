"""Methods of api keys.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.api_keys import KeyCreated, KeyIn, KeyOut, KeyPage


class AsyncApiKeys:
    """What is done with api keys."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> KeyPage:
        """List the live keys of the tenant, newest first; for the operator also the operators' own."""
        answer: KeyPage = await self._client.call("GET", "/api-keys", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[KeyOut]:
        """Go through all of them, page by page."""
        return self._client.each("/api-keys", query={})

    async def create(self, **fields: Unpack[KeyIn]) -> KeyCreated:
        """Create a key. It is in this response only."""
        answer: KeyCreated = await self._client.call("POST", "/api-keys", body=fields)
        return answer

    async def get(self, key_id: str, /) -> KeyOut:
        """Show a key without its secret."""
        answer: KeyOut = await self._client.call("GET", f"/api-keys/{self._client.quote(key_id)}")
        return answer

    async def delete(self, key_id: str, /) -> None:
        """Revoke a key for good, at once. The operator's last admin key cannot be revoked."""
        await self._client.call("DELETE", f"/api-keys/{self._client.quote(key_id)}")
