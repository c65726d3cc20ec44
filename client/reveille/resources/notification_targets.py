"""Methods of notification targets.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.notification_targets import TargetIn, TargetOut, TargetPage, TestedOut


class NotificationTargets:
    """What is done with notification targets."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, agent_id: str, /, *, limit: int | None = None, after: str | None = None) -> TargetPage:
        """List an agent's targets, newest first."""
        answer: TargetPage = self._client.call(
            "GET",
            f"/agents/{self._client.quote(agent_id)}/notification-targets",
            query={"limit": limit, "after": after},
        )
        return answer

    def each(self, agent_id: str, /) -> Iterator[TargetOut]:
        """Go through all of them, page by page."""
        return self._client.each(f"/agents/{self._client.quote(agent_id)}/notification-targets", query={})

    def create(self, agent_id: str, /, **fields: Unpack[TargetIn]) -> TargetOut:
        """Create a target; ten are allowed per agent. A webhook's secret is in this response only."""
        answer: TargetOut = self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/notification-targets", body=fields
        )
        return answer

    def get(self, target_id: str, /) -> TargetOut:
        """Show a target."""
        answer: TargetOut = self._client.call("GET", f"/notification-targets/{self._client.quote(target_id)}")
        return answer

    def delete(self, target_id: str, /) -> None:
        """Delete a target. Pending deliveries to it are dropped."""
        self._client.call("DELETE", f"/notification-targets/{self._client.quote(target_id)}")

    def test(self, target_id: str, /) -> TestedOut:
        """Send one test now and return the result."""
        answer: TestedOut = self._client.call(
            "POST", f"/notification-targets/{self._client.quote(target_id)}/test"
        )
        return answer
