"""Methods of agents.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.agents import (
        AgentIn,
        AgentOut,
        AgentPage,
        AgentPatch,
        AgentsIn,
        AgentsMade,
        AgentWhole,
        FocusPage,
        HeartbeatIn,
        NoteIn,
        NotesIn,
        NotesOut,
        UsageOut,
        WakeIn,
    )
    from reveille.shapes.runtimes import RuntimeTypesOut
    from reveille.shapes.triggers import FiredOut, TriggerOut, TriggerPage


class AsyncAgents:
    """What is done with agents."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, *, limit: int | None = None, after: str | None = None) -> AgentPage:
        """List agents, newest first."""
        answer: AgentPage = await self._client.call("GET", "/agents", query={"limit": limit, "after": after})
        return answer

    def each(self) -> AsyncIterator[AgentOut]:
        """Go through all of them, page by page."""
        return self._client.each("/agents", query={})

    async def create(self, **fields: Unpack[AgentIn]) -> AgentOut:
        """Create an agent. An http runtime's secret is in this response only."""
        answer: AgentOut = await self._client.call("POST", "/agents", body=fields)
        return answer

    async def create_many(self, **fields: Unpack[AgentsIn]) -> AgentsMade:
        """Create up to 1,000 agents, all or none. `errors` of a refusal names each invalid row, such as items.3.name."""
        answer: AgentsMade = await self._client.call("POST", "/agents/bulk", body=fields)
        return answer

    async def runtimes(self) -> RuntimeTypesOut:
        """List the runtimes and their presets: ours, and those of installed packages."""
        answer: RuntimeTypesOut = await self._client.call("GET", "/runtimes")
        return answer

    async def get(self, agent_id: str, /) -> AgentWhole:
        """Show an agent, with its budget usage."""
        answer: AgentWhole = await self._client.call("GET", f"/agents/{self._client.quote(agent_id)}")
        return answer

    async def delete(self, agent_id: str, /) -> None:
        """Delete an agent and its triggers. Recorded history stays readable; waiting firings are skipped."""
        await self._client.call("DELETE", f"/agents/{self._client.quote(agent_id)}")

    async def update(self, agent_id: str, /, **fields: Unpack[AgentPatch]) -> AgentOut:
        """Change an agent. A timezone moves its triggers without their own; a new secret is shown once."""
        answer: AgentOut = await self._client.call("PATCH", f"/agents/{self._client.quote(agent_id)}", body=fields)
        return answer

    async def pause(self, agent_id: str, /, **fields: Unpack[NoteIn]) -> AgentOut:
        """Pause an agent: its firings are recorded and wait. Pausing it again only changes the note."""
        answer: AgentOut = await self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/pause", body=fields
        )
        return answer

    async def resume(self, agent_id: str, /) -> AgentOut:
        """Resume an agent: waiting firings are delivered now."""
        answer: AgentOut = await self._client.call("POST", f"/agents/{self._client.quote(agent_id)}/resume")
        return answer

    async def wake(
        self, agent_id: str, /, *, idempotency_key: str | None = None, **fields: Unpack[WakeIn]
    ) -> FiredOut:
        """Wake an agent with a message. 429 when agents wake each other in too long a chain, or one too often."""
        answer: FiredOut = await self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/wake", body=fields, idempotency_key=idempotency_key
        )
        return answer

    async def put_heartbeat(self, agent_id: str, /, **fields: Unpack[HeartbeatIn]) -> TriggerOut:
        """Create or replace the agent's heartbeat. It is a trigger: pause, resume or PATCH it like any other."""
        answer: TriggerOut = await self._client.call(
            "PUT", f"/agents/{self._client.quote(agent_id)}/heartbeat", body=fields
        )
        return answer

    async def focus(self, agent_id: str, /) -> FocusPage:
        """List the focuses of an agent's triggers, with the number of triggers and of those still active."""
        answer: FocusPage = await self._client.call("GET", f"/agents/{self._client.quote(agent_id)}/focus")
        return answer

    async def resolve_focus(self, agent_id: str, focus_ref: str, /) -> TriggerPage:
        """End all triggers of a focus at once and return them. Their recorded firings are still delivered."""
        answer: TriggerPage = await self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/focus/{self._client.quote(focus_ref)}/resolve"
        )
        return answer

    async def notes(self, agent_id: str, /) -> NotesOut:
        """Show an agent's notes and who last wrote them."""
        answer: NotesOut = await self._client.call("GET", f"/agents/{self._client.quote(agent_id)}/notes")
        return answer

    async def put_notes(self, agent_id: str, /, **fields: Unpack[NotesIn]) -> NotesOut:
        """Replace an agent's notes; empty text deletes them."""
        answer: NotesOut = await self._client.call(
            "PUT", f"/agents/{self._client.quote(agent_id)}/notes", body=fields
        )
        return answer

    async def usage(self, agent_id: str, /, *, days: int | None = None) -> UsageOut:
        """Show an agent's usage by day and by trigger."""
        answer: UsageOut = await self._client.call(
            "GET", f"/agents/{self._client.quote(agent_id)}/usage", query={"days": days}
        )
        return answer
