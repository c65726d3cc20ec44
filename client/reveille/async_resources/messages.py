"""Methods of messages.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reveille.client import AsyncClient
    from reveille.shapes.messages import CallState, MessageIn, MessagePage, MessageWhole, ReceivedOut, SessionPage


class AsyncMessages:
    """What is done with messages."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def send(self, fields: MessageIn, /, idempotency_key: str | None = None) -> ReceivedOut:
        """Send a message to an agent; triggers that listen for it fire at once."""
        answer: ReceivedOut = await self._client.call(
            "POST", "/messages", body=fields, idempotency_key=idempotency_key
        )
        return answer

    async def get(self, message_id: str, /) -> MessageWhole:
        """Show a message with its whole text. An agent sees what it sent, received, and was woken by."""
        answer: MessageWhole = await self._client.call("GET", f"/messages/{self._client.quote(message_id)}")
        return answer

    async def sessions(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        agent_id: str | None = None,
        user_id: str | None = None,
        channel: str | None = None,
    ) -> SessionPage:
        """List sessions, newest first."""
        answer: SessionPage = await self._client.call(
            "GET",
            "/sessions",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "agent_id": agent_id,
                "user_id": user_id,
                "channel": channel,
            },
        )
        return answer

    async def list_of_session(
        self,
        session_id: str,
        /,
        *,
        limit: int | None = None,
        after: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        text: str | None = None,
        tool_state: CallState | None = None,
    ) -> MessagePage:
        """List a session's messages, newest first, each cut at 2,000 characters."""
        answer: MessagePage = await self._client.call(
            "GET",
            f"/sessions/{self._client.quote(session_id)}/messages",
            query={
                "limit": limit,
                "after": after,
                "from": from_,
                "to": to,
                "text": text,
                "tool_state": tool_state,
            },
        )
        return answer
