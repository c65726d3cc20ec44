"""Methods of agents.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
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


class Agents:
    """What is done with agents."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, limit: int | None = None, after: str | None = None) -> AgentPage:
        """List agents, newest first."""
        answer: AgentPage = self._client.call("GET", "/agents", query={"limit": limit, "after": after})
        return answer

    def each(self) -> Iterator[AgentOut]:
        """Go through all of them, page by page."""
        return self._client.each("/agents", query={})

    def create(self, **fields: Unpack[AgentIn]) -> AgentOut:
        """Create an agent. An http runtime's secret is in this response only."""
        answer: AgentOut = self._client.call("POST", "/agents", body=fields)
        return answer

    def create_many(self, **fields: Unpack[AgentsIn]) -> AgentsMade:
        """Create up to 1,000 agents, all or none. `errors` of a refusal names each invalid row, such as items.3.name."""
        answer: AgentsMade = self._client.call("POST", "/agents/bulk", body=fields)
        return answer

    def runtimes(self) -> RuntimeTypesOut:
        """List the runtimes and their presets: ours, and those of installed packages."""
        answer: RuntimeTypesOut = self._client.call("GET", "/runtimes")
        return answer

    def get(self, agent_id: str, /) -> AgentWhole:
        """Show an agent, with its budget usage."""
        answer: AgentWhole = self._client.call("GET", f"/agents/{self._client.quote(agent_id)}")
        return answer

    def delete(self, agent_id: str, /) -> None:
        """Delete an agent and its triggers. Recorded history stays readable; waiting firings are skipped."""
        self._client.call("DELETE", f"/agents/{self._client.quote(agent_id)}")

    def update(self, agent_id: str, /, **fields: Unpack[AgentPatch]) -> AgentOut:
        """Change an agent. A timezone moves its triggers without their own; a new secret is shown once."""
        answer: AgentOut = self._client.call("PATCH", f"/agents/{self._client.quote(agent_id)}", body=fields)
        return answer

    def pause(self, agent_id: str, /, **fields: Unpack[NoteIn]) -> AgentOut:
        """Pause an agent: its firings are recorded and wait. Pausing it again only changes the note."""
        answer: AgentOut = self._client.call("POST", f"/agents/{self._client.quote(agent_id)}/pause", body=fields)
        return answer

    def resume(self, agent_id: str, /) -> AgentOut:
        """Resume an agent: waiting firings are delivered now."""
        answer: AgentOut = self._client.call("POST", f"/agents/{self._client.quote(agent_id)}/resume")
        return answer

    def wake(self, agent_id: str, /, *, idempotency_key: str | None = None, **fields: Unpack[WakeIn]) -> FiredOut:
        """Wake an agent with a message. 429 when agents wake each other in too long a chain, or one too often."""
        answer: FiredOut = self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/wake", body=fields, idempotency_key=idempotency_key
        )
        return answer

    def put_heartbeat(self, agent_id: str, /, **fields: Unpack[HeartbeatIn]) -> TriggerOut:
        """Create or replace the agent's heartbeat. It is a trigger: pause, resume or PATCH it like any other."""
        answer: TriggerOut = self._client.call(
            "PUT", f"/agents/{self._client.quote(agent_id)}/heartbeat", body=fields
        )
        return answer

    def focus(self, agent_id: str, /) -> FocusPage:
        """List the focuses of an agent's triggers, with the number of triggers and of those still active."""
        answer: FocusPage = self._client.call("GET", f"/agents/{self._client.quote(agent_id)}/focus")
        return answer

    def resolve_focus(self, agent_id: str, focus_ref: str, /) -> TriggerPage:
        """End all triggers of a focus at once and return them. Their recorded firings are still delivered."""
        answer: TriggerPage = self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/focus/{self._client.quote(focus_ref)}/resolve"
        )
        return answer

    def notes(self, agent_id: str, /) -> NotesOut:
        """Show an agent's notes and who last wrote them."""
        answer: NotesOut = self._client.call("GET", f"/agents/{self._client.quote(agent_id)}/notes")
        return answer

    def put_notes(self, agent_id: str, /, **fields: Unpack[NotesIn]) -> NotesOut:
        """Replace an agent's notes; empty text deletes them."""
        answer: NotesOut = self._client.call("PUT", f"/agents/{self._client.quote(agent_id)}/notes", body=fields)
        return answer

    def usage(self, agent_id: str, /, *, days: int | None = None) -> UsageOut:
        """Show an agent's usage by day and by trigger."""
        answer: UsageOut = self._client.call(
            "GET", f"/agents/{self._client.quote(agent_id)}/usage", query={"days": days}
        )
        return answer
