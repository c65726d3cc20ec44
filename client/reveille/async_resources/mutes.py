"""Methods of mutes.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.mutes import MuteIn, MuteOut, MutePage


class AsyncMutes:
    """What is done with mutes."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> MutePage:
        """List mutes that have not ended, newest first."""
        answer: MutePage = await self._client.call("GET", "/alerts/mutes", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[MuteOut]:
        """Go through all of them, page by page."""
        return self._client.each("/alerts/mutes", query={})

    async def mute(self, **fields: Unpack[MuteIn]) -> MuteOut:
        """Mute a rule, a subject, or one rule of a subject: alerts still open, but no target is told."""
        answer: MuteOut = await self._client.call("POST", "/alerts/mutes", body=fields)
        return answer

    async def unmute(self, mute_id: str, /) -> None:
        """End a mute."""
        await self._client.call("DELETE", f"/alerts/mutes/{self._client.quote(mute_id)}")
