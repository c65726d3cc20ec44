"""Methods of channels.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.channels import ChannelIn, ChannelOut, ChannelPage, ChannelPatch


class AsyncChannels:
    """What is done with channels."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> ChannelPage:
        """List channels, newest first."""
        answer: ChannelPage = await self._client.call("GET", "/channels", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[ChannelOut]:
        """Go through all of them, page by page."""
        return self._client.each("/channels", query={})

    async def create(self, **fields: Unpack[ChannelIn]) -> ChannelOut:
        """Create a channel. Configure its events_url at the provider."""
        answer: ChannelOut = await self._client.call("POST", "/channels", body=fields)
        return answer

    async def get(self, channel_id: str, /) -> ChannelOut:
        """Show a channel."""
        answer: ChannelOut = await self._client.call("GET", f"/channels/{self._client.quote(channel_id)}")
        return answer

    async def delete(self, channel_id: str, /) -> None:
        """Delete a channel. Its messages stay."""
        await self._client.call("DELETE", f"/channels/{self._client.quote(channel_id)}")

    async def update(self, channel_id: str, /, **fields: Unpack[ChannelPatch]) -> ChannelOut:
        """Change a channel. `secrets` are merged and checked as at creation."""
        answer: ChannelOut = await self._client.call(
            "PATCH", f"/channels/{self._client.quote(channel_id)}", body=fields
        )
        return answer
