"""Methods of triggers.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.agents import NoteIn
    from reveille.shapes.triggers import (
        ApproveIn,
        FiredOut,
        PollOut,
        PreviewIn,
        PreviewOut,
        TrialIn,
        TrialOut,
        TriggerIn,
        TriggerOut,
        TriggerPage,
        TriggerPatch,
        TriggersIn,
        TriggersMade,
        TriggerTypesOut,
        TriggerWhole,
    )


class AsyncTriggers:
    """What is done with triggers."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list_of_agent(
        self,
        agent_id: str,
        /,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        focus_ref: str | None = None,
        type_: str | None = None,
        is_enabled: bool | None = None,
        text: str | None = None,
    ) -> TriggerPage:
        """List an agent's triggers, newest first."""
        answer: TriggerPage = await self._client.call(
            "GET",
            f"/agents/{self._client.quote(agent_id)}/triggers",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "focus_ref": focus_ref,
                "type": type_,
                "is_enabled": is_enabled,
                "text": text,
            },
        )
        return answer

    async def create(self, agent_id: str, /, **fields: Unpack[TriggerIn]) -> TriggerOut:
        """Make a trigger of an agent. A webhook's hook_url is in this answer only."""
        answer: TriggerOut = await self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/triggers", body=fields
        )
        return answer

    async def create_many(self, **fields: Unpack[TriggersIn]) -> TriggersMade:
        """Make up to 1,000 triggers of any agents, all or none. `errors` of a refusal names each wrong row."""
        answer: TriggersMade = await self._client.call("POST", "/triggers/bulk", body=fields)
        return answer

    async def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        focus_ref: str | None = None,
        type_: str | None = None,
        is_enabled: bool | None = None,
        text: str | None = None,
        agent_id: str | None = None,
    ) -> TriggerPage:
        """List triggers, newest first."""
        answer: TriggerPage = await self._client.call(
            "GET",
            "/triggers",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "focus_ref": focus_ref,
                "type": type_,
                "is_enabled": is_enabled,
                "text": text,
                "agent_id": agent_id,
            },
        )
        return answer

    def each(
        self,
        *,
        from_: str | None = None,
        to: str | None = None,
        focus_ref: str | None = None,
        type_: str | None = None,
        is_enabled: bool | None = None,
        text: str | None = None,
        agent_id: str | None = None,
    ) -> AsyncIterator[TriggerOut]:
        """Go through all of them, page by page."""
        return self._client.each(
            "/triggers",
            query={
                "from": from_,
                "to": to,
                "focus_ref": focus_ref,
                "type": type_,
                "is_enabled": is_enabled,
                "text": text,
                "agent_id": agent_id,
            },
        )

    async def get(self, trigger_id: str, /) -> TriggerWhole:
        """Show a trigger, with what its agent said of its firings."""
        answer: TriggerWhole = await self._client.call("GET", f"/triggers/{self._client.quote(trigger_id)}")
        return answer

    async def delete(self, trigger_id: str, /) -> None:
        """Delete a trigger. Its firings stay, and those that wait are still delivered."""
        await self._client.call("DELETE", f"/triggers/{self._client.quote(trigger_id)}")

    async def update(self, trigger_id: str, /, **fields: Unpack[TriggerPatch]) -> TriggerOut:
        """Change a trigger. `config` is merged and checked as at creation; no token or count is lost."""
        answer: TriggerOut = await self._client.call(
            "PATCH", f"/triggers/{self._client.quote(trigger_id)}", body=fields
        )
        return answer

    async def pause(self, trigger_id: str, /, **fields: Unpack[NoteIn]) -> TriggerOut:
        """Pause a trigger: it makes no new firings; those that wait are still delivered."""
        answer: TriggerOut = await self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/pause", body=fields
        )
        return answer

    async def resume(self, trigger_id: str, /) -> TriggerOut:
        """Resume a trigger from now on. What passed meanwhile does not fire, except a once; it counts from zero."""
        answer: TriggerOut = await self._client.call("POST", f"/triggers/{self._client.quote(trigger_id)}/resume")
        return answer

    async def fire(self, trigger_id: str, /, *, idempotency_key: str | None = None) -> FiredOut:
        """Fire now, whatever the schedule and the cooldown say. It counts towards max_fires."""
        answer: FiredOut = await self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/fire", idempotency_key=idempotency_key
        )
        return answer

    async def rotate_token(self, trigger_id: str, /) -> TriggerOut:
        """Give a webhook a new hook_url, shown in this answer only; the old one is unknown from now on."""
        answer: TriggerOut = await self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/rotate-token"
        )
        return answer

    async def preview(self, trigger_id: str, /, *, count: int | None = None) -> PreviewOut:
        """Show when a trigger fires next, in its own zone."""
        answer: PreviewOut = await self._client.call(
            "GET", f"/triggers/{self._client.quote(trigger_id)}/preview", query={"count": count}
        )
        return answer

    async def preview_config(self, **fields: Unpack[PreviewIn]) -> PreviewOut:
        """Show when a trigger of this type and config would fire; without a timezone, in UTC."""
        answer: PreviewOut = await self._client.call("POST", "/triggers/preview", body=fields)
        return answer

    async def types(self) -> TriggerTypesOut:
        """List the kinds of trigger: ours, and those of installed packages."""
        answer: TriggerTypesOut = await self._client.call("GET", "/trigger-types")
        return answer

    async def list_waiting(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        agent_id: str | None = None,
        type_: str | None = None,
        text: str | None = None,
    ) -> TriggerPage:
        """List the triggers that await approval, newest first."""
        answer: TriggerPage = await self._client.call(
            "GET",
            "/approvals",
            query={"limit": limit, "after": after, "agent_id": agent_id, "type": type_, "text": text},
        )
        return answer

    async def approve(self, trigger_id: str, /, **fields: Unpack[ApproveIn]) -> TriggerOut:
        """Approve a trigger that an agent made or changed: it starts now. One that was rejected can still be."""
        answer: TriggerOut = await self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/approve", body=fields
        )
        return answer

    async def reject(self, trigger_id: str, /, **fields: Unpack[NoteIn]) -> TriggerOut:
        """Reject a trigger that awaits approval. It stays disabled; the agent reads the note."""
        answer: TriggerOut = await self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/reject", body=fields
        )
        return answer

    async def try_config(self, **fields: Unpack[TrialIn]) -> TrialOut:
        """Look at once at what a trigger of this config would see, as its first look. Only the audit trail tells of it."""
        answer: TrialOut = await self._client.call("POST", "/triggers/try", body=fields)
        return answer

    async def try_now(self, trigger_id: str, /) -> TrialOut:
        """Look at once at what a poll sees, compared with what it saw last. Nothing is fired."""
        answer: TrialOut = await self._client.call("POST", f"/triggers/{self._client.quote(trigger_id)}/try")
        return answer

    async def poll(self, trigger_id: str, /) -> PollOut:
        """Show what a poll saw last, how often it failed in a row, and why."""
        answer: PollOut = await self._client.call("GET", f"/triggers/{self._client.quote(trigger_id)}/poll")
        return answer
