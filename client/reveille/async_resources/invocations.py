"""Methods of invocations.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.invocations import (
        CompletedOut,
        CompleteIn,
        InvocationOut,
        InvocationPage,
        InvocationState,
        InvocationWhole,
        ReplayedOut,
    )


class AsyncInvocations:
    """What is done with invocations."""

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
        state: InvocationState | None = None,
        error: str | None = None,
    ) -> InvocationPage:
        """List invocations, newest first."""
        answer: InvocationPage = await self._client.call(
            "GET",
            "/invocations",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "agent_id": agent_id,
                "trigger_id": trigger_id,
                "state": state,
                "error": error,
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
        state: InvocationState | None = None,
        error: str | None = None,
    ) -> AsyncIterator[InvocationOut]:
        """Go through all of them, page by page."""
        return self._client.each(
            "/invocations",
            query={
                "from": from_,
                "to": to,
                "agent_id": agent_id,
                "trigger_id": trigger_id,
                "state": state,
                "error": error,
            },
        )

    async def get(self, invocation_id: str, /) -> InvocationWhole:
        """Show an invocation with its firings, attempts, context, transcript and reply."""
        answer: InvocationWhole = await self._client.call(
            "GET", f"/invocations/{self._client.quote(invocation_id)}"
        )
        return answer

    async def cancel(self, invocation_id: str, /) -> InvocationOut:
        """Cancel an invocation. A running one is cancelled when it ends; an ended one answers 409."""
        answer: InvocationOut = await self._client.call(
            "POST", f"/invocations/{self._client.quote(invocation_id)}/cancel"
        )
        return answer

    async def replay(self, invocation_id: str, /) -> ReplayedOut:
        """Deliver an ended invocation's firings again, in the agent's next window, which closes now."""
        answer: ReplayedOut = await self._client.call(
            "POST", f"/invocations/{self._client.quote(invocation_id)}/replay"
        )
        return answer

    async def complete(self, invocation_id: str, /, **fields: Unpack[CompleteIn]) -> CompletedOut:
        """End an invocation whose agent answered 202. Requires its complete_token or a write key; 409 when stale."""
        answer: CompletedOut = await self._client.call(
            "POST", f"/invocations/{self._client.quote(invocation_id)}/complete", body=fields
        )
        return answer
