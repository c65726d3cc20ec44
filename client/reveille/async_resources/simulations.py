"""Methods of simulations.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.simulations import SimulatedOut, SimulationIn


class AsyncSimulations:
    """What is done with simulations."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def simulate(self, **fields: Unpack[SimulationIn]) -> SimulatedOut:
        """Simulate definitions over recorded firings or stated rates: wakes, merges, tokens and cost against today."""
        answer: SimulatedOut = await self._client.call("POST", "/simulations", body=fields)
        return answer
