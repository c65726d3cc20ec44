"""Methods of deliveries.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.deliveries import (
        DeliveryOut,
        DeliveryPage,
        DeliveryRange,
        DeliveryWhole,
        RedeliveredListOut,
        RedeliveredOut,
    )


class AsyncDeliveries:
    """What is done with deliveries."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(
        self,
        trigger_id: str,
        /,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        verdict: str | None = None,
        error: str | None = None,
    ) -> DeliveryPage:
        """List the deliveries of a webhook and their outcomes, newest first."""
        answer: DeliveryPage = await self._client.call(
            "GET",
            f"/triggers/{self._client.quote(trigger_id)}/deliveries",
            query={"limit": limit, "after": after, "from": from_, "to": to, "verdict": verdict, "error": error},
        )
        return answer

    def each(
        self,
        trigger_id: str,
        /,
        *,
        from_: str | None = None,
        to: str | None = None,
        verdict: str | None = None,
        error: str | None = None,
    ) -> AsyncIterator[DeliveryOut]:
        """Go through all of them, page by page."""
        return self._client.each(
            f"/triggers/{self._client.quote(trigger_id)}/deliveries",
            query={"from": from_, "to": to, "verdict": verdict, "error": error},
        )

    async def get(self, trigger_id: str, delivery_id: str, /) -> DeliveryWhole:
        """Show a delivery with its body; of a refused one the first 2,000 bytes are kept."""
        answer: DeliveryWhole = await self._client.call(
            "GET", f"/triggers/{self._client.quote(trigger_id)}/deliveries/{self._client.quote(delivery_id)}"
        )
        return answer

    async def replay_range(self, trigger_id: str, /, **fields: Unpack[DeliveryRange]) -> RedeliveredListOut:
        """Fire again with each accepted or filtered delivery of a range, oldest first; all or none."""
        answer: RedeliveredListOut = await self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/deliveries/replay", body=fields
        )
        return answer

    async def replay(self, trigger_id: str, delivery_id: str, /) -> RedeliveredOut:
        """Fire again with the body of one delivery, regardless of its id, the filter and the rate limit."""
        answer: RedeliveredOut = await self._client.call(
            "POST",
            f"/triggers/{self._client.quote(trigger_id)}/deliveries/{self._client.quote(delivery_id)}/replay",
        )
        return answer
