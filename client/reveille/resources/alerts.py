"""Methods of alerts.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.alerts import AlertOut, AlertPage, BadgeOut


class Alerts:
    """What is done with alerts."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, limit: int | None = None, after: str | None = None, open_: bool | None = None) -> AlertPage:
        """List alerts, newest first. An operator also sees those of the service."""
        answer: AlertPage = self._client.call(
            "GET", "/alerts", query={"limit": limit, "after": after, "open": open_}
        )
        return answer

    def each(self, *, open_: bool | None = None) -> Iterator[AlertOut]:
        """Go through all of them, page by page."""
        return self._client.each("/alerts", query={"open": open_})

    def create(self) -> BadgeOut:
        """Make the address of the tenant's badge, shown in this response only; an earlier one stops working."""
        answer: BadgeOut = self._client.call("POST", "/alerts/badge")
        return answer

    def end(self) -> None:
        """Delete the tenant's badge: its address stops working."""
        self._client.call("DELETE", "/alerts/badge")
