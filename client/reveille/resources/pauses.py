"""Methods of pauses.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
    from reveille.shapes.pauses import PauseIn, PausesOut, ResumeIn


class Pauses:
    """What is done with pauses."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self) -> PausesOut:
        """Show whether the tenant, or the whole service, is paused."""
        answer: PausesOut = self._client.call("GET", "/pause")
        return answer

    def pause(self, **fields: Unpack[PauseIn]) -> PausesOut:
        """Pause the tenant, or as an operator everything: no agent is woken until it is resumed."""
        answer: PausesOut = self._client.call("POST", "/pause", body=fields)
        return answer

    def resume(self, **fields: Unpack[ResumeIn]) -> PausesOut:
        """Resume the tenant, or everything: waiting firings are delivered now. Individual pauses stay."""
        answer: PausesOut = self._client.call("POST", "/resume", body=fields)
        return answer
