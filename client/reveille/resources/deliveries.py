"""Methods of deliveries.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.deliveries import (
        DeliveryOut,
        DeliveryPage,
        DeliveryRange,
        DeliveryWhole,
        RedeliveredListOut,
        RedeliveredOut,
    )


class Deliveries:
    """What is done with deliveries."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(
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
        answer: DeliveryPage = self._client.call(
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
    ) -> Iterator[DeliveryOut]:
        """Go through all of them, page by page."""
        return self._client.each(
            f"/triggers/{self._client.quote(trigger_id)}/deliveries",
            query={"from": from_, "to": to, "verdict": verdict, "error": error},
        )

    def get(self, trigger_id: str, delivery_id: str, /) -> DeliveryWhole:
        """Show a delivery with its body; of a refused one the first 2,000 bytes are kept."""
        answer: DeliveryWhole = self._client.call(
            "GET", f"/triggers/{self._client.quote(trigger_id)}/deliveries/{self._client.quote(delivery_id)}"
        )
        return answer

    def replay_range(self, trigger_id: str, /, **fields: Unpack[DeliveryRange]) -> RedeliveredListOut:
        """Fire again with each accepted or filtered delivery of a range, oldest first; all or none."""
        answer: RedeliveredListOut = self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/deliveries/replay", body=fields
        )
        return answer

    def replay(self, trigger_id: str, delivery_id: str, /) -> RedeliveredOut:
        """Fire again with the body of one delivery, regardless of its id, the filter and the rate limit."""
        answer: RedeliveredOut = self._client.call(
            "POST",
            f"/triggers/{self._client.quote(trigger_id)}/deliveries/{self._client.quote(delivery_id)}/replay",
        )
        return answer
