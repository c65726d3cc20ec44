"""Methods of firings.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.firings import AckIn, FiringOut, FiringPage, FiringState, FiringWhole


class AsyncFirings:
    """What is done with firings."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        agent_id: str | None = None,
        trigger_id: str | None = None,
        state: FiringState | None = None,
    ) -> FiringPage:
        """List firings without their payloads, newest first."""
        answer: FiringPage = await self._client.call(
            "GET",
            "/firings",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "agent_id": agent_id,
                "trigger_id": trigger_id,
                "state": state,
            },
        )
        return answer

    def each(
        self,
        *,
        from_: str | None = None,
        to: str | None = None,
        agent_id: str | None = None,
        trigger_id: str | None = None,
        state: FiringState | None = None,
    ) -> AsyncIterator[FiringOut]:
        """Go through all of them, page by page."""
        return self._client.each(
            "/firings",
            query={"from": from_, "to": to, "agent_id": agent_id, "trigger_id": trigger_id, "state": state},
        )

    async def get(self, firing_id: str, /) -> FiringWhole:
        """Show a firing with its whole payload."""
        answer: FiringWhole = await self._client.call("GET", f"/firings/{self._client.quote(firing_id)}")
        return answer

    async def payload(self, firing_id: str, /) -> bytes:
        """Download a firing's payload as it came. It is never shown in a page, as it is untrusted."""
        answer: bytes = await self._client.download("GET", f"/firings/{self._client.quote(firing_id)}/payload")
        return answer

    async def download(self, firing_id: str, number: str, /) -> bytes:
        """Download a document of a firing, such as a whole mail. Never shown in a page: a stranger may have written it."""
        answer: bytes = await self._client.download(
            "GET", f"/firings/{self._client.quote(firing_id)}/documents/{self._client.quote(number)}"
        )
        return answer

    async def acknowledge(self, firing_id: str, /, **fields: Unpack[AckIn]) -> FiringOut:
        """Acknowledge a firing on behalf of its agent: handled, ignored, or deferred `until` a time."""
        answer: FiringOut = await self._client.call(
            "POST", f"/firings/{self._client.quote(firing_id)}/ack", body=fields
        )
        return answer
