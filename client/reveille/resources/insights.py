"""Methods of insights.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.insights import InsightsOut, Step


class Insights:
    """What is done with insights."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(
        self,
        *,
        from_: str | None = None,
        to: str | None = None,
        step: Step | None = None,
        zone: str | None = None,
        agent_id: str | None = None,
        trigger_id: str | None = None,
    ) -> InsightsOut:
        """Show figures by hour or day, the agents that fail and spend most, and the triggers that fire most."""
        answer: InsightsOut = self._client.call(
            "GET",
            "/insights",
            query={
                "from": from_,
                "to": to,
                "step": step,
                "zone": zone,
                "agent_id": agent_id,
                "trigger_id": trigger_id,
            },
        )
        return answer
