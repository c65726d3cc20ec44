"""Methods of pauses.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.pauses import PauseIn, PausesOut, ResumeIn


class AsyncPauses:
    """What is done with pauses."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self) -> PausesOut:
        """Show whether the tenant, or the whole service, is paused."""
        answer: PausesOut = await self._client.call("GET", "/pause")
        return answer

    async def pause(self, **fields: Unpack[PauseIn]) -> PausesOut:
        """Pause the tenant, or as an operator everything: no agent is woken until it is resumed."""
        answer: PausesOut = await self._client.call("POST", "/pause", body=fields)
        return answer

    async def resume(self, **fields: Unpack[ResumeIn]) -> PausesOut:
        """Resume the tenant, or everything: waiting firings are delivered now. Individual pauses stay."""
        answer: PausesOut = await self._client.call("POST", "/resume", body=fields)
        return answer
