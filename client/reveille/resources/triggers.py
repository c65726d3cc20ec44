"""Methods of triggers.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from reveille.client import Client
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


class Triggers:
    """What is done with triggers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_of_agent(
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
        answer: TriggerPage = self._client.call(
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

    def create(self, agent_id: str, /, **fields: Unpack[TriggerIn]) -> TriggerOut:
        """Create a trigger for an agent. A webhook's hook_url is in this response only."""
        answer: TriggerOut = self._client.call(
            "POST", f"/agents/{self._client.quote(agent_id)}/triggers", body=fields
        )
        return answer

    def create_many(self, **fields: Unpack[TriggersIn]) -> TriggersMade:
        """Create up to 1,000 triggers of any agents, all or none. `errors` of a refusal names each invalid row."""
        answer: TriggersMade = self._client.call("POST", "/triggers/bulk", body=fields)
        return answer

    def list(
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
        answer: TriggerPage = self._client.call(
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
    ) -> Iterator[TriggerOut]:
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

    def get(self, trigger_id: str, /) -> TriggerWhole:
        """Show a trigger, with its agent's acknowledgements."""
        answer: TriggerWhole = self._client.call("GET", f"/triggers/{self._client.quote(trigger_id)}")
        return answer

    def delete(self, trigger_id: str, /) -> None:
        """Delete a trigger. Its firings stay, and waiting ones are still delivered."""
        self._client.call("DELETE", f"/triggers/{self._client.quote(trigger_id)}")

    def update(self, trigger_id: str, /, **fields: Unpack[TriggerPatch]) -> TriggerOut:
        """Change a trigger. `config` is merged and checked as at creation; tokens and counts are kept."""
        answer: TriggerOut = self._client.call("PATCH", f"/triggers/{self._client.quote(trigger_id)}", body=fields)
        return answer

    def pause(self, trigger_id: str, /, **fields: Unpack[NoteIn]) -> TriggerOut:
        """Pause a trigger: it makes no new firings; waiting ones are still delivered."""
        answer: TriggerOut = self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/pause", body=fields
        )
        return answer

    def resume(self, trigger_id: str, /) -> TriggerOut:
        """Resume a trigger from now on. Missed times do not fire, except for a once; it counts fires from zero."""
        answer: TriggerOut = self._client.call("POST", f"/triggers/{self._client.quote(trigger_id)}/resume")
        return answer

    def fire(self, trigger_id: str, /, *, idempotency_key: str | None = None) -> FiredOut:
        """Fire now, regardless of schedule and cooldown. It counts towards max_fires."""
        answer: FiredOut = self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/fire", idempotency_key=idempotency_key
        )
        return answer

    def rotate_token(self, trigger_id: str, /) -> TriggerOut:
        """Give a webhook a new hook_url, shown in this response only; the old one is invalid from now on."""
        answer: TriggerOut = self._client.call("POST", f"/triggers/{self._client.quote(trigger_id)}/rotate-token")
        return answer

    def preview(self, trigger_id: str, /, *, count: int | None = None) -> PreviewOut:
        """Show when a trigger fires next, in its own zone."""
        answer: PreviewOut = self._client.call(
            "GET", f"/triggers/{self._client.quote(trigger_id)}/preview", query={"count": count}
        )
        return answer

    def preview_config(self, **fields: Unpack[PreviewIn]) -> PreviewOut:
        """Show when a trigger of this type and config would fire; in UTC without a timezone."""
        answer: PreviewOut = self._client.call("POST", "/triggers/preview", body=fields)
        return answer

    def types(self) -> TriggerTypesOut:
        """List the kinds of trigger: ours, and those of installed packages."""
        answer: TriggerTypesOut = self._client.call("GET", "/trigger-types")
        return answer

    def list_waiting(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        agent_id: str | None = None,
        type_: str | None = None,
        text: str | None = None,
    ) -> TriggerPage:
        """List the triggers that await approval, newest first."""
        answer: TriggerPage = self._client.call(
            "GET",
            "/approvals",
            query={"limit": limit, "after": after, "agent_id": agent_id, "type": type_, "text": text},
        )
        return answer

    def approve(self, trigger_id: str, /, **fields: Unpack[ApproveIn]) -> TriggerOut:
        """Approve a trigger that an agent created or changed: it starts now. A rejected one can still be approved."""
        answer: TriggerOut = self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/approve", body=fields
        )
        return answer

    def reject(self, trigger_id: str, /, **fields: Unpack[NoteIn]) -> TriggerOut:
        """Reject a trigger that awaits approval. It stays disabled; the agent reads the note."""
        answer: TriggerOut = self._client.call(
            "POST", f"/triggers/{self._client.quote(trigger_id)}/reject", body=fields
        )
        return answer

    def try_config(self, **fields: Unpack[TrialIn]) -> TrialOut:
        """Try a config now, like a trigger's first check. Only the audit trail records it."""
        answer: TrialOut = self._client.call("POST", "/triggers/try", body=fields)
        return answer

    def try_now(self, trigger_id: str, /) -> TrialOut:
        """Try a poll now and compare with its last value. Nothing is fired."""
        answer: TrialOut = self._client.call("POST", f"/triggers/{self._client.quote(trigger_id)}/try")
        return answer

    def poll(self, trigger_id: str, /) -> PollOut:
        """Show a poll's last value, its consecutive failures, and the last error."""
        answer: PollOut = self._client.call("GET", f"/triggers/{self._client.quote(trigger_id)}/poll")
        return answer
