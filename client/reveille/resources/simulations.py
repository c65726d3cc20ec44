"""Methods of simulations.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.simulations import SimulatedOut, SimulationIn


class Simulations:
    """What is done with simulations."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def simulate(self, **fields: Unpack[SimulationIn]) -> SimulatedOut:
        """Simulate definitions over recorded firings or stated rates: wakes, merges, tokens and cost against today."""
        answer: SimulatedOut = self._client.call("POST", "/simulations", body=fields)
        return answer
